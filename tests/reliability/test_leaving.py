"""Clients that go away, a database that does: connections come back, nothing is half done."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
import psutil
import pytest

from launch.postgres import EmbeddedPostgres
from server.core.clock import MovableClock
from server.core.db import Database
from tests.reliability.history import (
    BOOKED,
    CHANCE,
    Book,
    History,
    booking,
    starts,
    times,
    together,
)
from tests.world import World, new_city

POOL = 5
FAR = 100  # days ahead that can be booked


@pytest.fixture
async def see_all(mortal: EmbeddedPostgres) -> AsyncIterator[Any]:
    """A connection to the mortal PostgreSQL that sees every row, for before it is killed."""
    connection = await asyncpg.connect(mortal.owner_dsn)
    yield connection
    await connection.close()


@pytest.fixture
async def few(mortal: EmbeddedPostgres, see_all: Any) -> AsyncIterator[World]:
    """The services on a few connections to the PostgreSQL that may be killed."""
    database = await Database.connect(mortal.app_dsn, MovableClock(), size=POOL)
    made = World(database, await new_city(see_all))
    yield made
    await made.channel.close()
    await database.close()


async def prepared(world: World, count: int) -> tuple[History, Book]:
    """Answer a history of requests that are not sent yet, each for a time of its own."""
    practice = await world.practice(horizon_days=FAR)
    history, patients = History(practice), [await world.person() for _ in range(8)]
    for number, start in enumerate(starts(practice, count)):
        history.request(patients[number % 8], start)
    return history, booking(world, practice)


async def busy(owner: Any) -> int:
    """Count the server's connections that are in a transaction or run something."""
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE usename = 'carelane_app' AND state <> 'idle'"
    )
    return int(await owner.fetchval(query))


async def at_rest(owner: Any) -> bool:
    """Wait two seconds at most until no connection of the server is busy."""
    for _ in range(100):
        if not await busy(owner):
            return True
        await asyncio.sleep(0.02)
    return False


async def test_clients_that_leave_give_connections_back_and_repeat_safely(
    few: World, see_all: Any
) -> None:
    history, book = await prepared(few, times(60, 1500))

    async def leave(sent: Any) -> None:
        call = asyncio.create_task(sent.attempt(book))
        await asyncio.wait({call}, timeout=CHANCE.uniform(0, 0.03))
        call.cancel()
        await asyncio.wait({call})

    await together(map(leave, history.sent), width=30)
    assert None in history.outcomes()
    assert await at_rest(see_all)
    await history.settle(book)
    assert history.outcomes() == {BOOKED, None}
    assert not await history.violations(see_all)


async def test_a_calendar_that_is_stuck_does_not_keep_connections_of_those_who_left(
    few: World, see_all: Any
) -> None:
    history, book = await prepared(few, 4 * POOL)
    async with see_all.transaction():
        doctor = history.practice.doctor.user_id
        await see_all.execute("SELECT FROM calendar WHERE doctor_id = $1 FOR UPDATE", doctor)
        waiting = [asyncio.create_task(sent.attempt(book)) for sent in history.sent]
        await asyncio.wait(waiting, timeout=0.2)
        for call in waiting:
            call.cancel()
        await asyncio.wait(waiting)
        assert history.outcomes() == {None}
        assert await few.call("SearchDoctors")
    await history.settle(book)
    assert not await history.violations(see_all)


@contextmanager
def killed_meanwhile(server: EmbeddedPostgres) -> Iterator[None]:
    """Kill the server's first process without warning, and start it again after the block."""
    assert server.pid is not None
    children = psutil.Process(server.pid).children()
    os.kill(server.pid, signal.SIGKILL)
    psutil.wait_procs(children, timeout=10)
    try:
        yield
    finally:
        server.start()


async def test_a_database_that_is_killed_loses_nothing_and_the_pool_recovers(
    few: World, mortal: EmbeddedPostgres
) -> None:
    history, book = await prepared(few, times(80, 1500))
    for _ in range(times(1, 5)):
        storm = asyncio.create_task(together((sent.attempt(book) for sent in history.sent), 20))
        await asyncio.sleep(0.15)
        with killed_meanwhile(mortal):
            await storm
        # a known answer is given again, what is unknown becomes known
        await history.settle(book)
    assert history.outcomes() == {BOOKED, None}
    owner = await asyncpg.connect(mortal.owner_dsn)
    assert not await history.violations(owner)
    await owner.close()


async def test_connections_that_are_ended_one_by_one_cost_nobody_a_wrong_answer(
    few: World, see_all: Any, mortal: EmbeddedPostgres
) -> None:
    history, book = await prepared(few, times(60, 1500))
    superuser = await asyncpg.connect(mortal.superuser_dsn)
    end_one = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE usename = 'carelane_app' ORDER BY random() LIMIT 1"
    )
    storm = asyncio.create_task(together((sent.attempt(book) for sent in history.sent), 20))
    for _ in range(times(12, 200)):
        await superuser.execute(end_one)
        await asyncio.sleep(0.02)
    await superuser.close()
    await storm
    await history.settle(book)
    assert history.outcomes() <= {BOOKED, None}
    assert not await history.violations(see_all)
