"""Write an error the way it leaves: a status code, a sentence, and google.rpc details."""

from typing import NamedTuple

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from server.core.errors import Error

DOMAIN = "carelane"
DETAILS = "grpc-status-details-bin"


class Refusal(NamedTuple):
    """What `context.abort` takes."""

    code: grpc.StatusCode
    details: str
    trailing_metadata: tuple[tuple[str, str | bytes], ...]


def refusal(error: Error, request_id: str) -> Refusal:
    """Answer the status of `error`: one ErrorInfo; BadRequest and RetryInfo where they apply."""
    number, _ = error.code.value
    status = status_pb2.Status(code=number, message=error.message, details=_details(error))
    trailing = (("x-request-id", request_id), (DETAILS, status.SerializeToString()))
    return Refusal(error.code, error.message, trailing)


def _details(error: Error) -> list[Any]:
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)
    details: list[Message] = [info]
    if error.fields:
        violations = [
            error_details_pb2.BadRequest.FieldViolation(field=path, description=rule)
            for path, rule in error.fields
        ]
        details.append(error_details_pb2.BadRequest(field_violations=violations))
    if error.retry_after is not None:
        delay = Duration()
        delay.FromMilliseconds(int(error.retry_after * 1000))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    return [_packed(detail) for detail in details]


def _packed(message: Message) -> Any:
    packed = Any()
    packed.Pack(message)
    return packed
