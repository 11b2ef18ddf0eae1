"""Lists by keyset: sizes, and opaque page tokens that only their own caller and query can use.

A token holds the keyset values of the last row and a keyed hash over them, the caller and the
query. So it cannot be made up, carried over to another person, or used with other filters.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from google.protobuf.message import Message

from server.core.access import Caller
from server.core.errors import InvalidField

DEFAULT_SIZE = 50
MAX_SIZE = 200
MAX_TOKEN = 1024  # as in the contract
MIN_SECRET = 16

_SEAL = 16

_READERS: dict[str, Callable[[str], Any]] = {
    "UUID": UUID,
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "Decimal": Decimal,
    "float": float.fromhex,
    "int": int,
    "str": str,
    "bool": "True".__eq__,
    "NoneType": lambda _: None,
}


class InvalidPageToken(InvalidField):
    """The page token is not one of this list, this query and this caller."""

    reason = "INVALID_PAGE_TOKEN"

    def __init__(self) -> None:
        super().__init__("page_token", "must be the token of this list with the same filters")


@dataclass(frozen=True, slots=True)
class Page:
    """A page that is asked for: the keyset values that it starts after, and how many rows to read.

    `after` is None for the first page; `limit` is one row more than it has, to see whether it is
    the last one.
    """

    after: Any
    limit: int
    token: Callable[[Sequence[Any]], str]

    def cut(self, rows: Sequence[Any], *key: Any) -> tuple[Sequence[Any], str]:
        """Answer the rows of the page, and the token of the next one; `key` is the keyset."""
        size = self.limit - 1
        if len(rows) <= size:
            return rows, ""
        return rows[:size], self.token([rows[size - 1][column] for column in key])


class Pager:
    """Makes and reads page tokens; the first secret signs, all are accepted."""

    def __init__(self, *secrets: bytes) -> None:
        if not secrets or min(map(len, secrets)) < MIN_SECRET:
            raise ValueError(f"Page tokens need a secret of {MIN_SECRET} bytes or more.")
        self._secrets = secrets

    @staticmethod
    def size(page_size: int) -> int:
        """Answer how many rows a page has: 50 if nothing is asked for, at most 200."""
        if page_size < 0:
            raise InvalidField("page_size", "must not be negative")
        return min(page_size or DEFAULT_SIZE, MAX_SIZE)

    def page(self, caller: Caller, query: Message) -> Page:
        """Read which page a request with page_size and page_token asks for."""
        asked: Any = query
        return Page(
            self.start(asked.page_token, caller, query),
            self.size(asked.page_size) + 1,
            lambda values: self.next(values, caller, query),
        )

    def start(self, token: str, caller: Caller, query: Message) -> tuple[Any, ...] | None:
        """Answer the keyset values that the page starts after; None for the first page.

        `query` is the request; its page_token and page_size do not count.
        """
        if not token:
            return None
        sealed = _decoded(token)
        seal, values = sealed[:_SEAL], sealed[_SEAL:]
        bound = _bound(values, caller, query)
        if not any(hmac.compare_digest(seal, _seal(secret, bound)) for secret in self._secrets):
            raise InvalidPageToken
        return tuple(_READERS[kind](text) for kind, text in json.loads(values))

    def next(self, values: Sequence[Any], caller: Caller, query: Message) -> str:
        """Make the token of the page after the row with these keyset values."""
        packed = json.dumps([_packed(value) for value in values], separators=(",", ":")).encode()
        seal = _seal(self._secrets[0], _bound(packed, caller, query))
        return base64.urlsafe_b64encode(seal + packed).rstrip(b"=").decode()


def _packed(value: Any) -> tuple[str, str]:
    # Subclasses, such as asyncpg's UUID, go by the class they extend.
    for kind in type(value).__mro__:
        if kind.__name__ in _READERS:
            break
    else:
        raise TypeError(f"{type(value).__name__} cannot be a keyset value")
    if isinstance(value, datetime | date):
        return kind.__name__, value.isoformat()
    return kind.__name__, value.hex() if isinstance(value, float) else str(value)


def _decoded(token: str) -> bytes:
    if len(token) > MAX_TOKEN:
        raise InvalidPageToken
    try:
        return base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise InvalidPageToken from None


def _bound(values: bytes, caller: Caller, query: Message) -> bytes:
    asked = type(query)()
    asked.CopyFrom(query)
    for name in ("page_token", "page_size"):
        asked.ClearField(name)
    digest = hashlib.sha256(asked.SerializeToString(deterministic=True)).digest()
    list_name = asked.DESCRIPTOR.full_name.encode()
    return b"\0".join((digest, str(caller.actor_id).encode(), list_name, values))


def _seal(secret: bytes, bound: bytes) -> bytes:
    return hmac.digest(secret, bound, "sha256")[:_SEAL]
