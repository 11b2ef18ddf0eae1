"""What a transaction that changes something also writes: one call, one flush, with the COMMIT.

A change has an audit row always, an outbox row when somebody must be told, and a feed entry when it
touches a clinic's schedule. They are buffered, and go to `record_changes()` in the database, which
also stores the answer for a repeated request_id and gives the feed entries the next revisions of
their clinics. That is the last statement, so that a clinic's feed is locked as briefly as can be.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from google.protobuf.message import Message


class Feed(NamedTuple):
    """An entry of the clinic's feed: `state` is the whole new state, None when the thing is gone.

    It holds ids, times and states, never anything personal. A hold carries its `expire_time`.
    """

    kind: str
    thing_id: UUID
    state: Mapping[str, Any] | None
    expire_time: datetime | None = None


class Once(NamedTuple):
    """The identity of a request: `key` of the RPC and its request_id, `contents` of the rest."""

    key: UUID
    contents: UUID

    @classmethod
    def of(cls, request: Message) -> "Once":
        """Derive both from a request message that has a `request_id`."""
        rest: Any = type(request)()
        rest.CopyFrom(request)
        name, request_id = request.DESCRIPTOR.full_name, rest.request_id.lower()
        rest.ClearField("request_id")
        body = rest.SerializeToString(deterministic=True)
        return cls(_digest(f"{name}\n{request_id}".encode()), _digest(body))


class Writes:
    """The buffer of one transaction."""

    def __init__(self, request_id: str | None = None) -> None:
        self._request_id = request_id
        self._changes: list[dict[str, Any]] = []
        self._answer: dict[str, str] | None = None

    def record(
        self,
        action: str,
        subject_id: UUID,
        *,
        clinic_id: UUID | None = None,
        fields: Sequence[str] = (),
        event: Mapping[str, Any] | None = None,
        feed: Feed | None = None,
    ) -> None:
        """Note a change. `event` (ids and states only) is told to others as the action."""
        self._changes.append(
            {
                "action": action,
                "subject_id": subject_id,
                "clinic_id": clinic_id,
                "fields": list(fields),
                "request_id": self._request_id,
                "event": event,
                "feed": feed._asdict() if feed else None,
            }
        )

    def answer(self, once: Once, response: Message) -> None:
        """Keep the answer for a repeat of the request."""
        stored = base64.b64encode(response.SerializeToString()).decode()
        self._answer = {"key": str(once.key), "response": stored}

    @property
    def answered(self) -> bool:
        return self._answer is not None

    def flush(self) -> str:
        """Answer the SQL that writes everything, empty when there is nothing.

        It goes in one round trip with COMMIT, which cannot take parameters: the document travels
        as hexadecimal digits, so that nothing in it can be read as SQL.
        """
        if not self._changes and self._answer is None:
            return ""
        document = orjson.dumps({"changes": self._changes, "answer": self._answer}, default=str)
        return f"SELECT record_changes(convert_from('\\x{document.hex()}', 'UTF8')::jsonb)"


def _digest(data: bytes) -> UUID:
    return UUID(bytes=hashlib.sha256(data).digest()[:16])
