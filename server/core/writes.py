"""What a transaction that changes something also writes: one call, one flush, with the COMMIT.

A change has an audit row always, an outbox row when somebody must be told, and a feed entry when it
touches a clinic's schedule. They are buffered, and go to `record_changes()` in the database, which
also stores the answer for a repeated request_id and gives the feed entries the next revisions of
their clinics. That is the last statement, so that a clinic's feed is locked as briefly as can be.
"""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from google.protobuf.message import Message

# Names of fields, or with each its values before and after; None for values that are not kept.
Fields = Sequence[str] | Mapping[str, tuple[Any, Any] | None]
_STATE = re.compile("[a-z][a-z_]{0,31}")


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
        self._reads_alone = True
        self._answer: dict[str, str] | None = None

    def record(
        self,
        action: str,
        subject_id: UUID,
        *,
        clinic_id: UUID | None = None,
        patients: Sequence[UUID] = (),
        on_behalf_of: UUID | None = None,
        fields: Fields = (),
        event: Mapping[str, Any] | None = None,
        feed: Feed | None = None,
    ) -> None:
        """Note a change. `event` (ids and states only) is told to others as the action.

        `patients` are those whose data it is, `on_behalf_of` one of them for whom the caller acts.
        `fields` may carry values only of what is not personal: states, numbers, times and ids.
        """
        self._reads_alone = False
        self._changes.append(
            {
                **self._row(action, subject_id, clinic_id, patients),
                "on_behalf_of_id": on_behalf_of,
                "fields": list(fields),
                "changes": _values(fields) if isinstance(fields, Mapping) else None,
                "event": event,
                "feed": feed._asdict() if feed else None,
            }
        )

    def record_read(
        self, action: str, subject_id: UUID, *, clinic_id: UUID, patients: Sequence[UUID]
    ) -> None:
        """Note that the caller read what a clinic knows of others."""
        row = self._row(action, subject_id, clinic_id, patients)
        self._changes.append({**row, "fields": []})

    def _row(
        self, action: str, subject_id: UUID, clinic_id: UUID | None, patients: Sequence[UUID]
    ) -> dict[str, Any]:
        return {
            "action": action,
            "subject_id": subject_id,
            "clinic_id": clinic_id,
            "patient_ids": list(patients) or None,
            "request_id": self._request_id,
        }

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
        write = f"SELECT record_changes(convert_from('\\x{document.hex()}', 'UTF8')::jsonb)"
        if self._reads_alone and self._answer is None:
            # Who only read does not wait for the disk; a database that crashes may lose this.
            return f"SET LOCAL synchronous_commit = off;{write}"
        return write


def _values(fields: Mapping[str, tuple[Any, Any] | None]) -> dict[str, list[Any]] | None:
    kept = {name: [_plain(value) for value in pair] for name, pair in fields.items() if pair}
    return kept or None


def _plain(value: Any) -> Any:
    """Answer a value as the audit keeps it; TypeError for a text that is no name of a state."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, UUID | Decimal):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str) and _STATE.fullmatch(value):
        return value
    raise TypeError("the audit keeps states, numbers, times and ids; name other fields alone")


def _digest(data: bytes) -> UUID:
    return UUID(bytes=hashlib.sha256(data).digest()[:16])
