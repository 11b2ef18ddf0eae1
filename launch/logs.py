"""What libraries log, put among our own lines: by place and class, without what people wrote."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from server.core import log

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def libraries_heard(logger: log.Logger) -> Iterator[None]:
    """Forward warnings and errors of libraries to `logger` while the block runs."""
    handler, root = _Forward(logger), logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


class _Forward(logging.Handler):
    """Hands on a record's template and never its arguments, which may hold anything."""

    def __init__(self, logger: log.Logger) -> None:
        super().__init__(logging.WARNING)
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line for a record."""
        error = record.exc_info[1] if record.exc_info else None
        known = log.failure(error) if error else {}
        words = str(record.msg).partition("\n")[0]
        self._logger.log(record.levelno, "library", library=record.name, said=words, **known)
