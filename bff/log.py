"""Structured logs: one JSON object a line, with ids and no contents."""

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
        structlog.BytesLogger((stream or sys.stdout).buffer),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.JSONRenderer(serializer=_dumps),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )
    return made.bind()


def failure(error: BaseException) -> dict[str, Any]:
    """Describe an exception by its class and place; its text may hold what somebody wrote."""
    frames = traceback.extract_tb(error.__traceback__)[-12:]
    return {
        "error": f"{type(error).__module__}.{type(error).__qualname__}",
        "stack": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }


def _dumps(event: Any, **_: Any) -> bytes:
    return orjson.dumps(event, default=str)
