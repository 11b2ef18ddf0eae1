"""What keeps each promise is taken away, and the same check that is green with it turns red.

A check that cannot fail promises nothing. Each mutant stands beside its control.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from copy import copy
from datetime import timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import grpc
import pytest

from launch.migrate import upgrade
from launch.postgres import EmbeddedPostgres
from server.appointment import booking as booking_service
from server.availability import service as availability
from server.core import turns, writes
from server.core.clock import MovableClock
from server.core.db import Database, Lock
from server.core.writes import Writes
from tests.appointment import test_booking, test_holds
from tests.refusal import Refusal
from tests.reliability.history import History, booking, starts, together
from tests.world import World, new_city, tomorrow

RIVALS = 12
OVERLAP = """ALTER TABLE claim ADD CONSTRAINT claim_overlap EXCLUDE USING gist
    (period_of(doctor_id, start_time, end_time) WITH &&)"""


@pytest.fixture(scope="module")
async def mutated(postgres: EmbeddedPostgres) -> AsyncIterator[tuple[str, Any]]:
    """A database of its own: its application's address, and a connection of its owner."""
    name = f"mutants_{uuid4().hex[:8]}"
    superuser = await asyncpg.connect(postgres.superuser_dsn)
    await superuser.execute(f"CREATE DATABASE {name} OWNER carelane_owner")
    await asyncio.to_thread(upgrade, postgres.dsn("carelane_owner", name))
    owner = await asyncpg.connect(postgres.dsn("carelane_owner", name))
    yield postgres.dsn("carelane_app", name), owner
    await owner.close()
    await superuser.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await superuser.close()


@pytest.fixture
def owner(mutated: tuple[str, Any]) -> Any:
    return mutated[1]


@pytest.fixture
async def world(
    mutated: tuple[str, Any], clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    dsn, owner = mutated
    monkeypatch.setattr(turns, "AT_ONCE", RIVALS)  # as if each came to another process
    database = await Database.connect(dsn, clock, size=2 * RIVALS)
    made = World(database, await new_city(owner))
    yield made
    await made.channel.close()
    await database.close()


async def race(world: World) -> History:
    """Let patients fight for a few times, and answer what they saw."""
    practice = await world.practice()
    history = History(practice)
    for start in starts(practice, 3):
        for _ in range(RIVALS):
            history.request(await world.person(), start)
    await together((sent.attempt(booking(world, practice)) for sent in history.sent), RIVALS)
    return history


@pytest.mark.parametrize("constraint", [True, False], ids=["constraint", "no constraint"])
@pytest.mark.parametrize("lock", [True, False], ids=["lock", "no lock"])
async def test_either_the_constraint_or_the_lock_keeps_two_from_the_same_time(
    world: World, owner: Any, monkeypatch: pytest.MonkeyPatch, *, constraint: bool, lock: bool
) -> None:
    if not lock:
        monkeypatch.setattr(availability, "lock_by_practice", lambda _: Lock("SELECT"))
    if not constraint:
        await owner.execute("ALTER TABLE claim DROP CONSTRAINT claim_overlap")
    try:
        history = await race(world)
        doubled = "two visits at once" in await history.violations(owner)
    finally:
        if not constraint:
            await owner.execute("DELETE FROM claim")
            await owner.execute(OVERLAP)
    assert doubled is not (constraint or lock)


# What happens to a connection whose server is killed, to about one of three.
DIE = "SELECT pg_terminate_backend(pg_backend_pid()) WHERE random() < 0.3"
REMEMBER = "SELECT set_config('app.user', current_setting('app.user'), false)"


def news_with_the_change(flush: Callable[[Writes], str]) -> Callable[[Writes], str]:
    """Die before or after the news of a change are written, in its transaction."""
    return lambda writes: f"{DIE};{flush(writes)};{DIE}"


def news_after_the_change(flush: Callable[[Writes], str]) -> Callable[[Writes], str]:
    """Die between a change and its news, which are written in a transaction of their own."""
    return lambda writes: f"{REMEMBER};COMMIT;{DIE};BEGIN;{flush(writes)}"


async def booked_while_dying(
    world: World, monkeypatch: pytest.MonkeyPatch, flush: Callable[[Writes], str]
) -> History:
    """Book one time after the other, and repeat what is unknown."""
    practice = await world.practice()
    history, patients = History(practice), [await world.person() for _ in range(4)]
    for number, start in enumerate(starts(practice, 30)):
        history.request(patients[number % 4], start)
    monkeypatch.setattr(Writes, "flush", flush)
    await history.settle(booking(world, practice))
    assert None in history.outcomes()
    return history


async def test_a_change_and_its_news_are_written_together(
    world: World, owner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush = news_with_the_change(Writes.flush)
    history = await booked_while_dying(world, monkeypatch, flush)
    assert not await history.violations(owner)


async def test_news_that_are_written_after_the_change_are_missed(
    world: World, owner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush = news_after_the_change(Writes.flush)
    history = await booked_while_dying(world, monkeypatch, flush)
    assert {
        "a change without its audit",
        "a change that nobody is told",
        "a change missing in the feed",
        "an answer that was not kept",
    } <= await history.violations(owner)


async def test_revisions_from_a_sequence_leave_gaps(world: World, owner: Any) -> None:
    definition = await owner.fetchval("SELECT pg_get_functiondef('record_changes'::regproc)")
    counter = "RETURNING last_revision - clinic.entries INTO base;"
    leaky = f"{counter} base := nextval('leaky');"
    assert not await (await race(world)).violations(owner)
    await owner.execute("CREATE SEQUENCE leaky")
    await owner.execute(definition.replace(counter, leaky))
    try:
        histories = await asyncio.gather(race(world), race(world))
        found = [await history.violations(owner) for history in histories]
    finally:
        await owner.execute(definition)
        await owner.execute("DROP SEQUENCE leaky")
    assert any("a gap in the feed" in violations for violations in found)


async def test_without_the_calendar_lock(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The constraint still keeps visits apart; what no constraint can say is broken."""
    assert await passes(the_limit_of_a_day_holds_in_a_race(world))
    take_no_locks(monkeypatch)
    assert not await passes(the_limit_of_a_day_holds_in_a_race(world))


async def test_with_expired_holds_left_to_a_sweeper(
    world: World, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = test_holds.test_an_expired_hold_is_taken_by_who_wants_the_time
    assert await passes(check(world, clock))
    left = copy(booking_service._BOOK)
    left.text = left.text.replace("claim.expire_time <= app_now()", "false")
    assert left.text != booking_service._BOOK.text
    monkeypatch.setattr(booking_service, "_BOOK", left)
    assert not await passes(check(world, clock))


async def test_with_the_request_recorded_after_the_claim(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = test_booking.test_racing_repeats_of_a_booking_have_one_effect
    assert await passes(check(world))
    record_requests_at_the_end(monkeypatch)
    assert not await passes(check(world))


async def the_limit_of_a_day_holds_in_a_race(world: World) -> None:
    """Let many patients ask for different times of a day on which three visits are taken."""
    practice = await world.practice(day_visits=3, length_minutes=15, interval_minutes=15)
    first = practice.at(tomorrow(practice), 10)
    patients = [await world.person() for _ in range(RIVALS)]
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
