"""Structured logs: one JSON object a line, that carries ids and never what people wrote."""

import logging
import sys
import traceback
from typing import Any, TextIO

import orjson
import structlog
from structlog.typing import FilteringBoundLogger

Logger = FilteringBoundLogger


def logger(level: str = "INFO", stream: TextIO | None = None) -> Logger:
    """Make a logger that writes JSON lines to `stream` (the standard output)."""
    made: Logger = structlog.wrap_logger(
        _Lines(stream or sys.stdout),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.JSONRenderer(serializer=_dumps),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_number(level)),
    )
    return made.bind()


class _Lines:
    """Writes lines to a stream; a full disk or a closed pipe loses lines, and fails no request."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.lost = 0

    def msg(self, line: bytes) -> None:
        try:
            self._stream.buffer.write(line + b"\n")
            self._stream.buffer.flush()
        except (OSError, ValueError):
            self.lost += 1

    log = debug = info = warning = error = critical = msg


def failure(error: BaseException) -> dict[str, Any]:
    """Describe an exception without its text, which may hold what somebody wrote.

    `error` names the classes from the outermost to the cause; `stack` lists file, line and function
    of the innermost frames of the first one.
    """
    frames = traceback.extract_tb(error.__traceback__)[-12:]
    return {
        "error": " < ".join(_chain(error)),
        "stack": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }


def _chain(error: BaseException) -> list[str]:
    names: list[str] = []
    link: BaseException | None = error
    while link is not None and len(names) < 5:
        names.append(f"{type(link).__module__}.{type(link).__qualname__}")
        link = link.__cause__ or link.__context__
    return names


class _Forward(logging.Handler):
    """Writes what libraries log as the same JSON lines, without their tracebacks' text."""

    def __init__(self, target: Logger) -> None:
        super().__init__()
        self._target = target

    def emit(self, record: logging.LogRecord) -> None:
        known = failure(record.exc_info[1]) if record.exc_info and record.exc_info[1] else {}
        self._target.log(record.levelno, record.getMessage(), logger=record.name, **known)


def capture_libraries(target: Logger, level: str = "WARNING") -> None:
    """Send what goes through the standard library's logging to `target`."""
    logging.basicConfig(handlers=[_Forward(target)], level=_number(level), force=True)


def _number(level: str) -> int:
    return logging.getLevelNamesMapping()[level]


def _dumps(event: Any, **_: Any) -> bytes:
    return orjson.dumps(event, default=str)
