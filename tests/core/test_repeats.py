"""Answers of repeated requests are kept for a week."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from launch.postgres import EmbeddedPostgres
from server.core.clock import MovableClock
from server.core.db import Database
from server.core.repeats import BATCH, KEPT, forget_old


@pytest.fixture
async def owner(postgres: EmbeddedPostgres) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(postgres.owner_dsn)
    await connection.execute("DELETE FROM idempotency")
    yield connection
    await connection.close()


@pytest.fixture
async def worker(postgres: EmbeddedPostgres) -> AsyncIterator[Database]:
    database = await Database.connect(postgres.worker_dsn, MovableClock(), size=1)
    yield database
    await database.close()


async def add_answers(owner: Any, user: UUID, age: timedelta, count: int = 1) -> None:
    await owner.execute(
        "INSERT INTO idempotency (user_id, key, request_hash, create_time)"
        " SELECT $1, gen_random_uuid(), gen_random_uuid(), app_now() - $2::interval"
        " FROM generate_series(1, $3)",
        user,
        age,
        count,
    )


async def left(owner: Any, user: UUID) -> int:
    return int(await owner.fetchval("SELECT count(*) FROM idempotency WHERE user_id = $1", user))


async def test_an_answer_is_kept_for_a_week_and_then_forgotten(
    worker: Database, owner: Any
) -> None:
    old, new = uuid4(), uuid4()
    await add_answers(owner, old, KEPT + timedelta(minutes=1))
    await add_answers(owner, new, KEPT - timedelta(minutes=1))
    assert await forget_old(worker) is False
    assert (await left(owner, old), await left(owner, new)) == (0, 1)


async def test_many_answers_are_forgotten_in_batches(worker: Database, owner: Any) -> None:
    user = uuid4()
    await add_answers(owner, user, KEPT * 2, BATCH + 1)
    assert await forget_old(worker) is True
    assert await left(owner, user) == 1
    assert await forget_old(worker) is False
    assert await left(owner, user) == 0
