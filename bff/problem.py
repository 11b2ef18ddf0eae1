"""What a REST client is told when a call fails: one problem document (RFC 9457) for every cause.

    {type, title, status, detail, reason, requestId, fields: [{field, rule}], metadata}

`reason` is a value of carelane.common.v1.ErrorReason without its prefix; `fields` name the request
as the client wrote it: JSON names, paths such as `rules[3].endTime`, "" for the body itself.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, NamedTuple, cast

import grpc
import orjson
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status
from starlette.responses import Response

from bff.names import camel, camel_within

MOST_FIELDS: Final = 50  # a hostile body could have a fault in each of its values
MOST_TOLD: Final = 3
NO_PATH: Final = "There is nothing at this path."

STATUS: Final = {
    grpc.StatusCode.INVALID_ARGUMENT: 422,
    grpc.StatusCode.OUT_OF_RANGE: 422,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.FAILED_PRECONDITION: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
_BROKEN: Final = ("INTERNAL", "The call failed.")
_TRANSPORT: Final = {
    grpc.StatusCode.CANCELLED: ("CANCELLED", "The call was cancelled."),
    grpc.StatusCode.UNAVAILABLE: ("UNAVAILABLE", "The service is not there; come back later."),
    grpc.StatusCode.RESOURCE_EXHAUSTED: ("RATE_LIMITED", "Too many calls; come back later."),
    grpc.StatusCode.UNIMPLEMENTED: ("UNIMPLEMENTED", "The service does not have this yet."),
    grpc.StatusCode.DEADLINE_EXCEEDED: (
        "DEADLINE_EXCEEDED",
        "It took too long, and may have happened: repeat with the same requestId.",
    ),
}


class Fault(NamedTuple):
    """A field of the request, by its path in JSON names, and the rule it breaks."""

    field: str
    rule: str


class Invalid(Exception):
    """JSON that does not fit its field: the faults, by paths below the place that raises."""

    def __init__(self, rule: str = "", faults: Iterable[Fault] = ()) -> None:
        super().__init__(rule)
        self.faults = [*faults] or [Fault("", rule)]

    def under(self, name: str) -> list[Fault]:
        """Answer the faults by paths below the parent, which knows this place as `name`."""
        return [Fault(_join(name, fault.field), fault.rule) for fault in self.faults]


def _join(parent: str, child: str) -> str:
    return f"{parent}.{child}" if parent and child and child[0] != "[" else parent + child


class Problem(Exception):
    """A failed call as the client will read it."""

    def __init__(
        self,
        status: int,
        reason: str,
        detail: str,
        *,
        fields: Iterable[Fault] = (),
        metadata: Mapping[str, str] | None = None,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.detail = detail
        self.fields = [*fields]
        self.metadata = dict(metadata or {})
        self.retry_after = retry_after
        self.headers = dict(headers or {})

    def document(self, request_id: str) -> dict[str, Any]:
        """Answer the problem document; `fields` and `metadata` only where there are any."""
        document: dict[str, Any] = {
            "type": f"urn:carelane:problem:{self.reason}",
            "title": self.reason.replace("_", " ").capitalize(),
            "status": self.status,
            "detail": self.detail,
            "reason": self.reason,
            "requestId": request_id,
        }
        if self.fields:
            document["fields"] = [fault._asdict() for fault in self.fields[:MOST_FIELDS]]
        if self.metadata:
            document["metadata"] = self.metadata
        return document

    def response(self, request_id: str) -> Response:
        """Answer the problem as an HTTP response."""
        response = Response(
            orjson.dumps(self.document(request_id)),
            self.status,
            self.headers,
            "application/problem+json",
        )
        if self.retry_after is not None:
            response.headers["Retry-After"] = str(max(1, math.ceil(self.retry_after)))
        if self.status == HTTPStatus.UNAUTHORIZED:
            response.headers["WWW-Authenticate"] = "Bearer"
        return response


def invalid(faults: Iterable[Fault]) -> Problem:
    """Answer the problem of a request whose fields do not fit."""
    named = [*faults]
    return Problem(422, "INVALID_FIELD", _told(named), fields=named)


def _told(faults: Sequence[Fault]) -> str:
    """Say the first faults in a sentence, for readers who see nothing but `detail`."""
    said = [f"{fault.field or 'the request'} {fault.rule}" for fault in faults[:MOST_TOLD]]
    return "; ".join(said) + ("." if len(said) == len(faults) else "; …")


def defect(request_id: str) -> Problem:
    """Answer the problem of a mistake of ours, with what support needs to find it in the log."""
    return Problem(500, "INTERNAL", f"A defect of the platform; its reference is {request_id}.")


def of_rpc(error: grpc.aio.AioRpcError) -> Problem:
    """Translate a failed RPC by its code and the details that the server attached.

    Without details the transport made the error, and its text names addresses: it stays here.
    """
    reason, detail = _TRANSPORT.get(error.code(), _BROKEN)
    problem = Problem(STATUS.get(error.code(), 500), reason, detail)
    metadata = cast(Iterable[tuple[str, bytes]], error.trailing_metadata() or ())
    for key, value in metadata:
        if key == "grpc-status-details-bin":
            _add_details(problem, Status.FromString(value))
    if problem.retry_after is None and problem.status in (429, 503):
        problem.retry_after = 1
    return problem


def _add_details(problem: Problem, status: Any) -> None:
    info = error_details_pb2.ErrorInfo()
    bad = error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    problem.detail = status.message
    for detail in status.details:
        if detail.Unpack(info):
            problem.reason = info.reason
            problem.metadata = {camel(key): value for key, value in info.metadata.items()}
        elif detail.Unpack(bad):
            problem.fields = [
                Fault(camel(violation.field), camel_within(violation.description))
                for violation in bad.field_violations
            ]
            if problem.status == STATUS[grpc.StatusCode.INVALID_ARGUMENT]:
                problem.detail = _told(problem.fields)  # the server's sentence has proto names
        elif detail.Unpack(retry):
            problem.retry_after = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
