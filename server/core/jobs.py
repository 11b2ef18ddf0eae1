"""Background work: jobs that run again and again, inside the server or in a process of their own.

Any number of processes run the same jobs at once, and each may be killed at any point: a job takes
its rows with SKIP LOCKED, and does its work and strikes it off in one transaction.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from server.core import log
from server.core.db import Database

STOP_SECONDS = 1.5
MAX_BACKOFF = 15.0
JITTER = 0.2

# Returns after that many seconds, or at once when the event is set.
Pause = Callable[[asyncio.Event, float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Job:
    """Work that is done in small turns, one about every `interval` seconds.

    `run` does one turn and answers whether more waits; then the next turn follows at once.
    """

    name: str
    interval: float
    run: Callable[[Database], Awaitable[bool]]


class JobMetrics:
    """What is counted of every job."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.runs = Counter(
            "carelane_job_runs", "Turns that ended well.", ("job",), registry=registry
        )
        self.failures = Counter(
            "carelane_job_failures", "Turns that failed.", ("job",), registry=registry
        )
        self.seconds = Histogram(
            "carelane_job_seconds", "How long turns took.", ("job",), registry=registry
        )
        self.success = Gauge(
            "carelane_job_last_success_time_seconds",
            "When the last turn ended well, as Unix time.",
            ("job",),
            registry=registry,
        )


class Runner:
    """Runs jobs side by side until it is told to stop."""

    def __init__(
        self,
        database: Database,
        *,
        logger: log.Logger,
        metrics: JobMetrics,
        pause: Pause | None = None,
    ) -> None:
        self._database = database
        self._log = logger
        self._metrics = metrics
        self._pause = pause or _pause

    async def run(self, jobs: Sequence[Job], stop: asyncio.Event) -> None:
        """Run `jobs` until `stop` is set; what then takes too long is cut off and rolled back."""
        loops = [asyncio.create_task(self._repeat(job, stop), name=job.name) for job in jobs]
        try:
            await stop.wait()
            if loops:
                await asyncio.wait(loops, timeout=STOP_SECONDS)
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)

    async def _repeat(self, job: Job, stop: asyncio.Event) -> None:
        failures = 0
        while not stop.is_set():
            more = await self._turn(job)
            failures = failures + 1 if more is None else 0
            if not more:
                await self._pause(stop, delay(job.interval, failures))

    async def _turn(self, job: Job) -> bool | None:
        """Answer whether more waits; None when the turn failed."""
        began = perf_counter()
        try:
            more = await job.run(self._database)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next turn comes
            self._metrics.failures.labels(job.name).inc()
            self._log.error("job", job=job.name, **log.failure(error))
            return None
        finally:
            self._metrics.seconds.labels(job.name).observe(perf_counter() - began)
        self._metrics.runs.labels(job.name).inc()
        self._metrics.success.labels(job.name).set(self._database.clock.now().timestamp())
        return more


def delay(interval: float, failures: int) -> float:
    """Answer the seconds to the next turn; doubled with every failure in a row, never in step."""
    backoff = max(interval, min(interval * 2.0 ** min(failures, 30), MAX_BACKOFF))
    return backoff * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
