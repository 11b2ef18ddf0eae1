"""What keeps two people from having one time is taken away, piece by piece: tests must notice.

Each test runs a check of the suite as it is, where it passes, and again with one guarantee removed,
where it must fail. A check that passes both times would guard nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from copy import copy
from datetime import timedelta
from typing import Any

import asyncpg
import grpc
import pytest

from launch.migrate import upgrade
from launch.postgres import APP, OWNER, EmbeddedPostgres
from server.appointment import booking
from server.core import writes
from server.core.clock import MovableClock
from server.core.db import Database
from tests.appointment import test_booking, test_holds
from tests.refusal import Refusal
from tests.world import World, new_city, tomorrow

DATABASE = "mutants"
CLIENTS = 20


class OtherDatabase:
    """The server's second database, for checks that ask for its address."""

    def __init__(self, postgres: EmbeddedPostgres) -> None:
        self.owner_dsn = postgres.dsn(OWNER, DATABASE)
        self.app_dsn = postgres.dsn(APP, DATABASE)


@pytest.fixture(scope="module")
async def unconstrained(postgres: EmbeddedPostgres) -> AsyncIterator[OtherDatabase]:
    """A database of the platform whose taken time may overlap."""
    administrator = await asyncpg.connect(postgres.superuser_dsn)
    await administrator.execute(f"CREATE DATABASE {DATABASE} OWNER {OWNER}")
    other = OtherDatabase(postgres)
    await asyncio.to_thread(upgrade, other.owner_dsn)
    owner = await asyncpg.connect(other.owner_dsn)
    await owner.execute("ALTER TABLE claim DROP CONSTRAINT claim_overlap")
    await owner.close()
    yield other
    await administrator.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")
    await administrator.close()


@pytest.fixture
async def lax_world(unconstrained: OtherDatabase) -> AsyncIterator[World]:
    """The services on the database without the constraint."""
    owner = await asyncpg.connect(unconstrained.owner_dsn)
    database = await Database.connect(unconstrained.app_dsn, MovableClock(), size=30)
    made = World(database, await new_city(owner))
    yield made
    await made.channel.close()
    await database.close()
    await owner.close()


async def test_without_the_exclusion_constraint(
    live_world: World, postgres: EmbeddedPostgres, lax_world: World, unconstrained: OtherDatabase
) -> None:
    check = test_booking.test_the_database_itself_refuses_a_second_claim_of_a_time
    assert await passes(check(live_world, postgres))
    assert not await passes(check(lax_world, unconstrained))


async def test_with_a_check_before_an_insert_and_nothing_else(
    live_world: World, lax_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = test_booking.test_of_many_patients_for_one_time_one_wins
    assert await passes(check(live_world))
    take_no_locks(monkeypatch)
    assert not await passes(check(lax_world))


async def test_without_the_calendar_lock(
    live_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The constraint still keeps visits apart; what no constraint can say is broken."""
    assert await passes(the_limit_of_a_day_holds_in_a_race(live_world))
    take_no_locks(monkeypatch)
    assert not await passes(the_limit_of_a_day_holds_in_a_race(live_world))


async def test_with_expired_holds_left_to_a_sweeper(
    world: World, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = test_holds.test_an_expired_hold_is_taken_by_who_wants_the_time
    assert await passes(check(world, clock))
    left = copy(booking._BOOK)
    left.text = left.text.replace("claim.expire_time <= app_now()", "false")
    assert left.text != booking._BOOK.text
    monkeypatch.setattr(booking, "_BOOK", left)
    assert not await passes(check(world, clock))


async def test_with_the_request_recorded_after_the_claim(
    live_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = test_booking.test_racing_repeats_of_a_booking_have_one_effect
    assert await passes(check(live_world))
    record_requests_at_the_end(monkeypatch)
    assert not await passes(check(live_world))


async def the_limit_of_a_day_holds_in_a_race(world: World) -> None:
    """Let many patients ask for different times of a day on which three visits are taken."""
    practice = await world.practice(day_visits=3, length_minutes=15, interval_minutes=15)
    first = practice.at(tomorrow(practice), 10)
    patients = [await world.person() for _ in range(CLIENTS)]
    outcomes = await asyncio.gather(
        *(
            _outcome(world.book(patient, practice, first + n * timedelta(minutes=15)))
            for n, patient in enumerate(patients)
        )
    )
    assert outcomes.count("BOOKED") == 3, outcomes


async def passes(check: Awaitable[None]) -> bool:
    """Say whether a check of the suite is content."""
    try:
        await check
    except (AssertionError, grpc.aio.AioRpcError, pytest.fail.Exception):
        return False
    return True


def take_no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = Database._begin

    def unlocked(self: Database, caller: Any, _lock: Any, once: Any) -> str:
        return begin(self, caller, None, once)

    monkeypatch.setattr(Database, "_begin", unlocked)


def record_requests_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the row of the request with the answer instead of before everything else."""
    begin, answer, flush = Database._begin, writes.Writes.answer, writes.Writes.flush
    requests: dict[writes.Writes, writes.Once] = {}

    def begun(self: Database, caller: Any, lock: Any, _once: Any) -> str:
        return begin(self, caller, lock, None)

    def answered(self: writes.Writes, once: writes.Once, response: Any) -> None:
        requests[self] = once
        answer(self, once, response)

    def flushed(self: writes.Writes) -> str:
        if self not in requests:
            return flush(self)
        once = requests[self]
        return (
            "INSERT INTO idempotency (user_id, key, request_hash)"
            f" VALUES (app_user(), '{once.key}', '{once.contents}') ON CONFLICT DO NOTHING;"
            + flush(self)
        )

    monkeypatch.setattr(Database, "_begin", begun)
    monkeypatch.setattr(writes.Writes, "answer", answered)
    monkeypatch.setattr(writes.Writes, "flush", flushed)


async def _outcome(booked: Awaitable[Any]) -> str:
    try:
        await booked
    except grpc.aio.AioRpcError as error:
        return Refusal(error).reason
    return "BOOKED"
