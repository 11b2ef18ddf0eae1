"""The platform to measure: a durable PostgreSQL of its own, and the services behind the guard."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, TypeVar

import asyncpg

from launch.migrate import upgrade
from launch.postgres import EmbeddedPostgres
from server.availability.hours import Rule, Window
from server.core.clock import SystemClock
from server.core.db import Database
from tests.world import Person, PracticeOf, World, new_city

CALLERS = 16
QUARTER = 15
DAILY = tuple(Rule(weekday, Window(9 * 60, 17 * 60)) for weekday in range(1, 8))
Item = TypeVar("Item")


@dataclass(frozen=True)
class Platform:
    """The services, the server below them, and a connection that owns the tables."""

    world: World
    postgres: EmbeddedPostgres
    owner: Any

    async def practices(self, doctors: int, clinics: int) -> list[PracticeOf]:
        """Open clinics, and spread doctors over them, each with 32 starts on every day."""
        opened = [await self._practice() for _ in range(clinics)]
        more = [await self._practice(opened[n % clinics]) for n in range(doctors - clinics)]
        return opened + more

    async def _practice(self, at: PracticeOf | None = None) -> PracticeOf:
        return await self.world.practice(
            at=at, rules=DAILY, length_minutes=QUARTER, interval_minutes=QUARTER
        )

    async def patients(self, count: int) -> list[Person]:
        return [await self.world.person() for _ in range(count)]

    def postgres_seconds(self) -> float:
        """Answer the CPU time of the database until now."""
        times = (process.cpu_times() for process in self.postgres.left_running())
        return sum(each.user + each.system for each in times)


@asynccontextmanager
async def platform() -> AsyncIterator[Platform]:
    """Start it in a folder that is removed afterwards. Commits wait for the disk."""
    with tempfile.TemporaryDirectory(prefix="carelane-bench-") as folder:
        os.chmod(folder, 0o755)  # noqa: PTH101, S103 - the server runs as a user of its own
        postgres = EmbeddedPostgres(Path(folder))
        postgres.start()
        try:
            upgrade(postgres.owner_dsn)
            async with _services(postgres) as made:
                yield made
        finally:
            postgres.stop()


@asynccontextmanager
async def _services(postgres: EmbeddedPostgres) -> AsyncIterator[Platform]:
    owner = await asyncpg.connect(postgres.owner_dsn)
    database = await Database.connect(postgres.app_dsn, SystemClock(), size=CALLERS)
    world = World(database, await new_city(owner))
    try:
        yield Platform(world, postgres, owner)
    finally:
        await world.channel.close()
        await database.close()
        await owner.close()


@dataclass(frozen=True)
class Load:
    """What callers who worked side by side achieved: seconds of each call, and of everything."""

    calls: list[float]
    wall: float
    python: float
    database: float

    @property
    def rate(self) -> float:
        return len(self.calls) / self.wall


async def load(
    platform: Platform, items: Iterable[Item], call: Callable[[Item], Awaitable[object]]
) -> Load:
    """Let 16 callers take one item after the other; a call that fails ends it."""
    waiting, calls = iter(items), list[float]()

    async def caller() -> None:
        for item in waiting:
            began = perf_counter()
            await call(item)
            calls.append(perf_counter() - began)

    before, worked, began = platform.postgres_seconds(), process_time(), perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    wall, python = perf_counter() - began, process_time() - worked
    return Load(calls, wall, python, platform.postgres_seconds() - before)
