"""Background jobs: turns, failures and the end."""

import asyncio
import io
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from server.core import log
from server.core.clock import MovableClock
from server.core.db import Database
from server.core.jobs import JITTER, MAX_BACKOFF, Job, JobMetrics, Runner, delay

Turn = Callable[[Database], Awaitable[bool]]


class Office:
    """A runner whose pauses take no time; it stops after so many of them."""

    def __init__(self, pauses: int = 3) -> None:
        self.stop = asyncio.Event()
        self.registry = CollectorRegistry()
        self.written = io.TextIOWrapper(io.BytesIO())
        self.pauses: list[float] = []
        self._left = pauses
        self.database = Database(None, MovableClock())
        self._metrics = JobMetrics(self.registry)

    def runner(self, pause: Any = None) -> Runner:
        """Make a runner; without `pause` its pauses take their time."""
        logger = log.logger(stream=self.written)
        return Runner(self.database, logger=logger, metrics=self._metrics, pause=pause)

    async def _skip(self, stop: asyncio.Event, seconds: float) -> None:
        self.pauses.append(seconds)
        self._left -= 1
        if self._left <= 0:
            stop.set()
        await asyncio.sleep(0)

    async def run(self, *turns: Turn, interval: float = 1.0) -> None:
        jobs = [Job(f"job{number}", interval, turn) for number, turn in enumerate(turns)]
        await asyncio.wait_for(self.runner(self._skip).run(jobs, self.stop), 5)

    def count(self, name: str, job: str = "job0") -> float:
        return self.registry.get_sample_value(name, {"job": job}) or 0

    @property
    def logged(self) -> str:
        self.written.flush()
        buffer: Any = self.written.buffer
        return buffer.getvalue().decode()  # type: ignore[no-any-return]


async def nothing(_: Database) -> bool:
    return False


async def failing(_: Database) -> bool:
    raise ValueError("the patient is called Asha")


async def test_a_job_takes_its_turns_until_it_is_told_to_stop() -> None:
    office = Office(pauses=3)
    await office.run(nothing)
    assert office.count("carelane_job_runs_total") == 3
    assert office.count("carelane_job_last_success_time_seconds") == pytest.approx(
        time.time(), abs=10
    )


async def test_a_job_gets_the_database_that_the_runner_has() -> None:
    office, given = Office(pauses=1), []

    async def look(database: Database) -> bool:
        given.append(database)
        return False

    await office.run(look)
    assert given == [office.database]


async def test_while_more_waits_there_is_no_pause() -> None:
    office, left = Office(pauses=1), [True, True, True, False]

    async def work(_: Database) -> bool:
        return left.pop(0)

    await office.run(work)
    assert (len(left), len(office.pauses)) == (0, 1)


async def test_a_job_that_always_has_more_still_stops() -> None:
    office = Office()

    async def endless(_: Database) -> bool:
        await asyncio.sleep(0)
        return True

    asyncio.get_running_loop().call_later(0.05, office.stop.set)
    await office.run(endless)
    assert office.count("carelane_job_runs_total") > 1


async def test_a_failing_job_does_not_keep_others_from_running() -> None:
    office = Office(pauses=6)
    await office.run(failing, nothing)
    assert office.count("carelane_job_failures_total") == 3
    assert office.count("carelane_job_runs_total", "job1") == 3


async def test_a_failure_is_logged_without_its_text() -> None:
    office = Office(pauses=1)
    await office.run(failing)
    assert "builtins.ValueError" in office.logged
    assert "Asha" not in office.logged


async def test_failures_in_a_row_are_spaced_out_and_a_success_ends_that() -> None:
    office, outcomes = Office(pauses=5), [False, False, False, True, False]

    async def shaky(_: Database) -> bool:
        if not outcomes.pop(0):
            raise OSError
        return False

    await office.run(shaky)
    middle = [2.0, 4.0, 8.0, 1.0, 2.0]
    for pause, expected in zip(office.pauses, middle, strict=True):
        assert expected * (1 - JITTER) <= pause <= expected * (1 + JITTER)


def test_pauses_are_never_in_step_and_never_grow_without_end() -> None:
    assert len({delay(1.0, 0) for _ in range(20)}) > 1
    assert max(delay(1.0, 10_000) for _ in range(100)) <= MAX_BACKOFF * (1 + JITTER)
    assert min(delay(60.0, 3) for _ in range(100)) >= 60 * (1 - JITTER)


async def test_a_pausing_runner_stops_at_once() -> None:
    office, turned = Office(), asyncio.Event()

    async def turn(_: Database) -> bool:
        turned.set()
        return False

    running = asyncio.create_task(office.runner().run([Job("job0", 3600, turn)], office.stop))
    await turned.wait()
    began = time.perf_counter()
    office.stop.set()
    await running
    assert time.perf_counter() - began < 0.5


async def test_a_turn_that_hangs_is_cut_off_within_two_seconds() -> None:
    office, begun, ended = Office(), asyncio.Event(), asyncio.Event()

    async def hang(_: Database) -> bool:
        begun.set()
        try:
            return await asyncio.Event().wait()
        finally:
            ended.set()

    running = asyncio.create_task(office.runner().run([Job("job0", 1, hang)], office.stop))
    await begun.wait()
    began = time.perf_counter()
    office.stop.set()
    await running
    assert ended.is_set()
    assert time.perf_counter() - began < 2


async def test_a_turn_that_is_under_way_may_end() -> None:
    office, ended = Office(), []

    async def work(_: Database) -> bool:
        office.stop.set()
        await asyncio.sleep(0.1)
        ended.append("done")
        return True

    await office.run(work)
    assert ended == ["done"]


async def test_a_cancelled_runner_leaves_no_job_behind() -> None:
    office = Office()
    running = asyncio.create_task(office.runner().run([Job("left", 1, nothing)], office.stop))
    await asyncio.sleep(0.05)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "left"]
