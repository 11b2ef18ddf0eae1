"""What a refused call said."""

from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2


class Refusal:
    """Code, text and details of an error; `fields` is the rule that each named field breaks."""

    def __init__(self, error: grpc.aio.AioRpcError) -> None:
        self.code = error.code()
        self.text = error.details()
        self.reason, self.retry_after = "", 0
        self.fields: dict[str, str] = {}
        self.metadata: dict[str, str] = {}
        details = dict(error.trailing_metadata())["grpc-status-details-bin"]
        for detail in status_pb2.Status.FromString(details).details:
            self._read(detail)

    def _read(self, detail: Any) -> None:
        info, request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        retry = error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            self.reason, self.metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(request):
            self.fields = {each.field: each.description for each in request.field_violations}
        elif detail.Unpack(retry):
            self.retry_after = retry.retry_delay.seconds

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Refusal) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]


async def refused(call: Any) -> Refusal:
    """Await a call that must be refused."""
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return Refusal(error.value)
