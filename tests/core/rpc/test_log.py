"""Log lines are JSON, hold no texts of people, and fail nobody."""

import io
import logging
from collections.abc import Iterator

import orjson
import pytest

from server.core import log


@pytest.fixture
def stream() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO())


@pytest.fixture
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def lines(stream: io.TextIOWrapper) -> list[dict[str, object]]:
    return [orjson.loads(line) for line in stream.buffer.getvalue().splitlines()]


def caught() -> BaseException:
    try:
        try:
            raise KeyError("asha@mail.example")
        except KeyError as cause:
            raise RuntimeError("diagnosis") from cause
    except RuntimeError as error:
        return error


def test_a_failure_is_told_by_classes_and_places_without_its_text() -> None:
    told = log.failure(caught())
    assert told["error"] == "builtins.RuntimeError < builtins.KeyError"
    assert told["stack"][-1].endswith(" caught")
    assert "asha" not in str(told)
    assert "diagnosis" not in str(told)


def test_lines_below_the_level_are_not_written(stream: io.TextIOWrapper) -> None:
    logger = log.logger("WARNING", stream)
    logger.info("quiet")
    logger.warning("loud", count=3)
    assert [(line["event"], line["count"]) for line in lines(stream)] == [("loud", 3)]


def test_a_log_that_cannot_be_written_fails_nobody(stream: io.TextIOWrapper) -> None:
    logger = log.logger("INFO", stream)
    stream.close()
    logger.info("lost")


@pytest.mark.usefixtures("_restored")
def test_what_libraries_log_becomes_json_without_the_text_of_exceptions(
    stream: io.TextIOWrapper,
) -> None:
    log.capture_libraries(log.logger("INFO", stream))
    logging.getLogger("asyncpg").warning("slow %s", "query", exc_info=caught())
    [line] = lines(stream)
    assert (line["event"], line["logger"], line["level"]) == ("slow query", "asyncpg", "warning")
    assert "diagnosis" not in str(line)
