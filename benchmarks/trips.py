"""Write down what goes to the database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import asyncpg

_SENDING = ("execute", "fetch", "fetchrow", "executemany")


class Message(NamedTuple):
    """One round trip: the method of the connection, and what it was called with."""

    method: str
    query: str
    arguments: tuple[Any, ...]


@contextmanager
def recorded() -> Iterator[list[Message]]:
    """Collect every message to the database that is sent inside the block."""
    sent: list[Message] = []
    originals = {name: getattr(asyncpg.Connection, name) for name in _SENDING}
    for name, original in originals.items():
        setattr(asyncpg.Connection, name, _recording(name, original, sent))
    try:
        yield sent
    finally:
        for name, original in originals.items():
            setattr(asyncpg.Connection, name, original)


def queries(sent: list[Message]) -> list[Message]:
    """Leave out what begins and ends transactions."""
    return [each for each in sent if not each.query.startswith(("BEGIN", "COMMIT"))]


def transactions(sent: list[Message]) -> list[list[Message]]:
    """Cut messages of one caller where transactions begin."""
    found: list[list[Message]] = []
    for each in sent:
        if each.query.startswith("BEGIN"):
            found.append([])
        found[-1].append(each)
    return found


def _recording(name: str, original: Any, sent: list[Message]) -> Any:
    def recording(self: Any, query: str, *args: Any, **options: Any) -> Any:
        sent.append(Message(name, query, args))
        return original(self, query, *args, **options)

    return recording
