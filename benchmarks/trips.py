"""Count what goes to the database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg

_SENDING = ("execute", "fetch", "fetchrow", "executemany")


@contextmanager
def counted() -> Iterator[list[str]]:
    """Collect the text of every message to the database that is sent inside the block."""
    sent: list[str] = []
    originals = {name: getattr(asyncpg.Connection, name) for name in _SENDING}
    for name, original in originals.items():
        setattr(asyncpg.Connection, name, _counting(original, sent))
    try:
        yield sent
    finally:
        for name, original in originals.items():
            setattr(asyncpg.Connection, name, original)


def queries(sent: list[str]) -> list[str]:
    """Leave out what begins and ends transactions."""
    return [text for text in sent if not text.startswith(("BEGIN", "COMMIT"))]


def _counting(original: Any, sent: list[str]) -> Any:
    def counting(self: Any, query: str, *args: Any, **options: Any) -> Any:
        sent.append(query)
        return original(self, query, *args, **options)

    return counting
