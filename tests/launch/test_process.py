"""What the launcher does to its own process."""

import resource
from collections.abc import Iterator

import pytest

from launch import process


@pytest.fixture
def few_files() -> Iterator[int]:
    """A limit of 1,024 open files, as shells set it; the limit that may be set."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_process_opens_as_many_files_as_it_may(few_files: int) -> None:
    process.allow_files()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard == few_files
    assert soft == (process.MOST_FILES if hard == -1 else min(hard, process.MOST_FILES))


def test_a_limit_that_is_high_enough_stays(few_files: int) -> None:
    process.allow_files()
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    process.allow_files()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before
