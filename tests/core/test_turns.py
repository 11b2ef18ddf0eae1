"""Waiting for a turn, and what it leaves to others."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import literal, select

from server.core.access import Caller
from server.core.db import Database, Lock, sql
from server.core.errors import Conflict
from server.core.turns import AT_ONCE, Turns

ONE = sql(select(literal(1).label("one")))


async def test_a_few_at_a_time_change_the_same_thing_and_all_have_their_turn() -> None:
    turns, now, most = Turns(100, 10), 0, 0

    async def change() -> None:
        nonlocal now, most
        async with turns.turn("a calendar"):
            now, most = now + 1, max(most, now + 1)
            await asyncio.sleep(0)
            now -= 1

    await asyncio.gather(*(change() for _ in range(50)))
    assert (now, most) == (0, AT_ONCE)
    assert not turns._queues


async def test_who_waits_too_long_for_a_turn_is_told_to_repeat() -> None:
    turns = Turns(1, 0.01)
    async with turns.turn("one"):
        for other in ("one", "another"):
            with pytest.raises(Conflict) as refusal:
                await turns.turn(other).__aenter__()
            assert refusal.value.retry_after
    async with turns.turn("another"):
        pass
    assert not turns._queues


async def test_who_wait_for_a_lock_leave_connections_to_those_who_read(
    postgres: Any, clock: Any
) -> None:
    database = await Database.connect(postgres.app_dsn, clock, size=4)
    lock = Lock("SELECT pg_advisory_xact_lock(hashtext({}))", uuid4())
    begun = asyncio.Event()

    async def change() -> None:
        async with database.transaction(Caller(uuid4(), "patient"), lock=lock):
            begun.set()
            await done.wait()

    done = asyncio.Event()
    changes = [asyncio.create_task(change()) for _ in range(12)]
    async with asyncio.timeout(5):
        await begun.wait()
        assert await database.one(ONE)
    done.set()
    await asyncio.gather(*changes)
    await database.close()
