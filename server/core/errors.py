"""The one tree of errors that may leave the server.

    class                   code               reason
    Error
    ├── InvalidField(s)     INVALID_ARGUMENT   INVALID_FIELD
    ├── Unauthenticated     UNAUTHENTICATED    UNAUTHENTICATED
    ├── PermissionDenied    PERMISSION_DENIED  PERMISSION_DENIED
    ├── NotFound            NOT_FOUND          NOT_FOUND
    ├── AlreadyExists       ALREADY_EXISTS     ALREADY_EXISTS
    ├── FailedPrecondition  FAILED_PRECONDITION, both
    ├── Conflict            ABORTED            CONFLICT
    ├── OutOfRange          OUT_OF_RANGE       INVALID_FIELD
    ├── ResourceExhausted   RESOURCE_EXHAUSTED RATE_LIMITED
    │   └── TooLarge        RESOURCE_EXHAUSTED TOO_LARGE
    ├── Unavailable         UNAVAILABLE        UNAVAILABLE
    ├── DeadlineExceeded    DEADLINE_EXCEEDED  DEADLINE_EXCEEDED
    ├── Unimplemented       UNIMPLEMENTED      UNIMPLEMENTED
    └── Internal            INTERNAL           INTERNAL

A domain's own error is a subclass with a reason of `carelane.common.v1.ErrorReason`:

    class SlotTaken(AlreadyExists):
        reason = "SLOT_TAKEN"

`Serialization` and `Replay` are no errors of a caller: the database raises them to steer the guard.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

import grpc

StatusCode = grpc.StatusCode


MOST_TOLD = 3


class FieldError(NamedTuple):
    """A field of the request, as a path of proto names (`rules[3].end`), and the rule it breaks."""

    path: str
    rule: str


class Error(Exception):
    """A refusal that the caller is told about.

    `message` goes to the caller as it is, so it never holds what the caller sent, nor anything of
    another person. `metadata` travels in ErrorInfo; `retry_after` (seconds) as RetryInfo.
    """

    code: ClassVar[StatusCode] = StatusCode.INTERNAL
    reason: ClassVar[str] = "INTERNAL"
    text: ClassVar[str] = "The call failed."

    def __init__(
        self,
        message: str = "",
        *,
        fields: Sequence[tuple[str, str]] = (),
        metadata: Mapping[str, str] | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.fields = tuple(FieldError(path, rule) for path, rule in fields)
        self.message = message or self._told() or self.text
        self.metadata = dict(metadata or {})
        self.retry_after = retry_after
        super().__init__(self.message)

    def _told(self) -> str:
        """Say the first broken rules in a sentence, for people who see no details."""
        said = [f"{field.path or 'the request'} {field.rule}" for field in self.fields[:MOST_TOLD]]
        return "; ".join(said) + ("." if len(said) == len(self.fields) else "; …") if said else ""


class InvalidField(Error):
    """A field of the request breaks a rule; `InvalidFields` names several at once."""

    code = StatusCode.INVALID_ARGUMENT
    reason = "INVALID_FIELD"
    text = "The request has an invalid field."

    def __init__(self, field: str, rule: str, message: str = "") -> None:
        super().__init__(message, fields=((field, rule),))


class InvalidFields(Error):
    """Several fields of the request break rules."""

    code = StatusCode.INVALID_ARGUMENT
    reason = "INVALID_FIELD"
    text = "The request has invalid fields."


class Unauthenticated(Error):
    """There is no access token, or it is not valid."""

    code = StatusCode.UNAUTHENTICATED
    reason = "UNAUTHENTICATED"
    text = "Sign in first."


class PermissionDenied(Error):
    """The caller's role may not make the call; for a thing out of reach raise NotFound."""

    code = StatusCode.PERMISSION_DENIED
    reason = "PERMISSION_DENIED"
    text = "You may not do this."


class NotFound(Error):
    """It does not exist, or the caller may not know that it does."""

    code = StatusCode.NOT_FOUND
    reason = "NOT_FOUND"
    text = "It does not exist."


class AlreadyExists(Error):
    """What should be created is there already."""

    code = StatusCode.ALREADY_EXISTS
    reason = "ALREADY_EXISTS"
    text = "It exists already."


class FailedPrecondition(Error):
    """The state of things does not allow it; repeating does not help."""

    code = StatusCode.FAILED_PRECONDITION
    reason = "FAILED_PRECONDITION"
    text = "The state does not allow this."


class ScopeMissing(PermissionDenied):
    """The key has none of the scopes that open the call."""

    reason = "SCOPE_MISSING"
    text = "The key may not do this."


class SecondFactorRequired(FailedPrecondition):
    """The account must have a second factor, and the session has shown none."""

    reason = "SECOND_FACTOR_REQUIRED"
    text = "Your account needs a second factor: add one, or sign in with it."


class Conflict(Error):
    """Another change came between; the caller reads again and repeats."""

    code = StatusCode.ABORTED
    reason = "CONFLICT"
    text = "Another change came between; read again and repeat."


class EtagMismatch(Conflict):
    """Somebody else changed the thing since the caller read it."""

    reason = "ETAG_MISMATCH"
    text = "It was changed since you read it; read it again."


class OutOfRange(Error):
    """A value is outside what can be asked for, such as a time before the first year kept."""

    code = StatusCode.OUT_OF_RANGE
    reason = "INVALID_FIELD"
    text = "The value is out of range."


class ResourceExhausted(Error):
    """A limit of this caller is used up; `retry_after` says when it is free again."""

    code = StatusCode.RESOURCE_EXHAUSTED
    reason = "RATE_LIMITED"
    text = "Too many calls; come back later."


class Unavailable(Error):
    """Something that is needed is not there right now."""

    code = StatusCode.UNAVAILABLE
    reason = "UNAVAILABLE"
    text = "The service is not available; come back later."


class TooLarge(ResourceExhausted):
    """A message, a list or an answer is larger than allowed."""

    reason = "TOO_LARGE"
    text = "It is larger than allowed; ask for less at once."


class DeadlineExceeded(Error):
    """The time for the call is over; whether it took effect is not known."""

    code = StatusCode.DEADLINE_EXCEEDED
    reason = "DEADLINE_EXCEEDED"
    text = "The call took too long; repeat it with the same request_id."


class Unimplemented(Error):
    """There is no such RPC."""

    code = StatusCode.UNIMPLEMENTED
    reason = "UNIMPLEMENTED"
    text = "There is no such RPC."


class Internal(Error):
    """A defect of the platform; only the guard raises it, with a reference to the log line."""

    def __init__(self, reference: str) -> None:
        text = f"Something went wrong on our side; the reference is {reference}."
        super().__init__(text, metadata={"reference": reference})


class Serialization(Exception):
    """The database cut the transaction off (40001, 40P01); the guard runs the handler again."""


class Replay(Exception):
    """The request_id was answered before: `response` is the stored answer, serialised."""

    def __init__(self, response: bytes) -> None:
        super().__init__()
        self.response = response
