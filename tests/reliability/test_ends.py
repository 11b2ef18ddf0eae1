"""A server that is stopped or killed while people book: what they were told, is so."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from launch.postgres import EmbeddedPostgres
from tests.reliability.history import BOOKED, History, booking, starts, times, together
from tests.reliability.served import Server, booking_at, running, sign_in
from tests.world import World

FAR = 100  # days ahead that can be booked
PATIENTS = 4


@pytest.fixture
async def server(postgres: EmbeddedPostgres) -> AsyncIterator[Server]:
    async with running(postgres.app_dsn) as started:
        yield started


@pytest.fixture
async def history(server: Server, live_world: World) -> History:
    """Requests of people who are signed in, each for a time of its own, not sent yet."""
    made = History(await live_world.practice(horizon_days=FAR))
    async with server.channel() as channel:
        patients = await asyncio.gather(*(sign_in(channel) for _ in range(PATIENTS)))
    for number, start in enumerate(starts(made.practice, times(80, 1600))):
        made.request(patients[number % PATIENTS], start)
    return made


async def end_meanwhile(server: Server, history: History, number: signal.Signals) -> float:
    """End the server while all is being sent that is not known; answer the seconds it took."""
    async with server.channel() as channel:
        book = booking_at(channel, history.practice)
        unsent = (sent.attempt(book) for sent in history.sent if not sent.is_known)
        clients = asyncio.create_task(together(unsent, width=3 * PATIENTS))
        await asyncio.sleep(0.1)
        assert not clients.done(), "all was booked before the server ended"
        began = time.monotonic()
        assert await server.end(number) in {0, -number}
        seconds = time.monotonic() - began
        await clients
    return seconds


async def test_what_a_stopped_server_acknowledged_is_kept_and_it_ends_in_time(
    server: Server, history: History, live_world: World, owner: Any
) -> None:
    assert await end_meanwhile(server, history, signal.SIGTERM) < 10
    assert history.outcomes() == {BOOKED, None}
    await history.settle(booking(live_world, history.practice))
    assert not await history.violations(owner)


async def test_what_a_killed_server_acknowledged_is_kept_and_the_rest_can_be_repeated(
    server: Server, history: History, live_world: World, owner: Any
) -> None:
    await end_meanwhile(server, history, signal.SIGKILL)
    for _ in range(times(0, 5)):
        await server.start()
        await end_meanwhile(server, history, signal.SIGKILL)
    await history.settle(booking(live_world, history.practice))
    assert history.outcomes() == {BOOKED, None}
    assert not await history.violations(owner)
