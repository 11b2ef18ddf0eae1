"""Patients who did not come are marked by background work, after the grace of the practice."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from launch.postgres import EmbeddedPostgres
from server.core.clock import MovableClock
from server.core.db import Database
from server.queue.jobs import mark_missed
from tests.queue.conftest import add_ticket
from tests.rows import NOW, Practice, add, add_person, add_practice, add_visit

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def clock() -> MovableClock:
    """The clock of the worker; it stands at the start of the visits."""
    clock = MovableClock()
    clock.set(NOW)
    return clock


@pytest.fixture
async def worker(postgres: EmbeddedPostgres, clock: MovableClock) -> AsyncIterator[Database]:
    """The database as background work sees it."""
    database = await Database.connect(postgres.worker_dsn, clock, size=4)
    yield database
    await database.close()


@pytest.fixture
async def at(owner: Any) -> Practice:
    practice = await add_practice(owner)
    await add(owner, "calendar", doctor_id=practice.doctor_id)
    return practice


@pytest.fixture
async def desk(owner: Any, at: Practice) -> None:
    """Somebody is checked in at the start of the visits."""
    await add_ticket(owner, at, NOW, called=False)


async def visit_at(owner: Any, at: Practice, **values: Any) -> UUID:
    """Add a visit of ten thirty in Kolkata, booked the day before."""
    booked = {"update_time": NOW - timedelta(days=1)}
    return await add_visit(owner, at, await add_person(owner), **(booked | values))


async def choose(owner: Any, at: Practice, minutes: int) -> None:
    """Let the practice choose its grace."""
    await owner.execute(
        "INSERT INTO queue_setting (clinic_id, doctor_id, practice_id, no_show_grace_minutes)"
        " VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (practice_id) DO UPDATE SET no_show_grace_minutes = $4",
        at.clinic_id,
        at.doctor_id,
        at.practice_id,
        minutes,
    )


async def status(owner: Any, visit: UUID) -> str:
    query = "SELECT status FROM appointment WHERE appointment_id = $1"
    return str(await owner.fetchval(query, visit))


async def after(minutes: int, clock: MovableClock, worker: Database) -> None:
    """Let the job run when so many minutes have gone by since the start."""
    clock.set(NOW + minutes * MINUTE)
    while await mark_missed(worker):
        pass


@pytest.mark.usefixtures("desk")
async def test_a_patient_who_does_not_come_is_marked_after_half_an_hour(
    owner: Any, at: Practice, worker: Database, clock: MovableClock
) -> None:
    visit = await visit_at(owner, at)
    await after(29, clock, worker)
    assert await status(owner, visit) == "booked"
    await after(31, clock, worker)
    assert await status(owner, visit) == "no_show"
    rows = await owner.fetch("SELECT actor_id, action FROM audit WHERE subject_id = $1", visit)
    assert [tuple(row) for row in rows] == [(None, "appointment.no_show")]
    assert await owner.fetchval("SELECT topic FROM outbox WHERE subject_id = $1", visit)


async def test_where_nobody_is_checked_in_nobody_is_missed(
    owner: Any, at: Practice, worker: Database, clock: MovableClock
) -> None:
    other, visit = await add_practice(owner), await visit_at(owner, at)
    await add_ticket(owner, other, NOW, called=False)
    await add_ticket(owner, at, NOW - timedelta(days=1), called=False)
    await after(600, clock, worker)
    assert await status(owner, visit) == "booked"
    await choose(owner, at, 30)
    await after(600, clock, worker)
    assert await status(owner, visit) == "no_show"


async def test_who_was_to_come_before_the_desk_was_at_work_is_not_missed(
    owner: Any, at: Practice, worker: Database, clock: MovableClock
) -> None:
    early, late = await visit_at(owner, at), await visit_at(owner, at, start=NOW + 10 * MINUTE)
    await add_ticket(owner, at, NOW + 35 * MINUTE, called=False)
    await after(600, clock, worker)
    assert [await status(owner, visit) for visit in (early, late)] == ["booked", "no_show"]


@pytest.mark.parametrize("state", ["checked_in", "in_consultation", "completed"])
async def test_a_patient_who_came_is_not_marked(
    owner: Any, at: Practice, worker: Database, clock: MovableClock, state: str
) -> None:
    visit = await visit_at(owner, at, status=state)
    await after(600, clock, worker)
    assert await status(owner, visit) == state


@pytest.mark.usefixtures("desk")
async def test_a_practice_chooses_the_grace(
    owner: Any, at: Practice, worker: Database, clock: MovableClock
) -> None:
    visit = await visit_at(owner, at)
    await choose(owner, at, 60)
    await after(59, clock, worker)
    assert await status(owner, visit) == "booked"
    await choose(owner, at, 0)
    await after(600, clock, worker)
    assert await status(owner, visit) == "booked"
    await choose(owner, at, 60)
    await after(61, clock, worker)
    assert await status(owner, visit) == "no_show"


@pytest.mark.usefixtures("desk")
async def test_a_late_doctor_gives_the_patient_as_much_more_time(
    owner: Any, at: Practice, worker: Database, clock: MovableClock
) -> None:
    visit = await visit_at(owner, at)
    await owner.execute(
        "UPDATE queue_day SET late_minutes = 20, late_time = $1 WHERE practice_id = $2",
        NOW,
        at.practice_id,
    )
    await after(49, clock, worker)
    assert await status(owner, visit) == "booked"
    await after(51, clock, worker)
    assert await status(owner, visit) == "no_show"


@pytest.mark.usefixtures("desk")
async def test_a_mark_that_was_undone_leaves_time_to_check_in(
    owner: Any, at: Practice, worker: Database, clock: MovableClock
) -> None:
    visit = await visit_at(owner, at, update_time=NOW + 40 * MINUTE)
    await after(69, clock, worker)
    assert await status(owner, visit) == "booked"
    await after(71, clock, worker)
    assert await status(owner, visit) == "no_show"


@pytest.mark.usefixtures("desk")
async def test_a_visit_of_the_past_is_left_as_it_is(
    owner: Any, at: Practice, worker: Database, clock: MovableClock
) -> None:
    visit = await visit_at(owner, at)
    await after(24 * 60 + 1, clock, worker)
    assert await status(owner, visit) == "booked"


@pytest.mark.usefixtures("desk")
async def test_workers_at_once_mark_a_visit_once(
    owner: Any, at: Practice, worker: Database, clock: MovableClock
) -> None:
    visits = [await visit_at(owner, at) for _ in range(5)]
    clock.set(NOW + 31 * MINUTE)
    await asyncio.gather(*(mark_missed(worker) for _ in range(4)))
    for visit in visits:
        assert await status(owner, visit) == "no_show"
        count = "SELECT count(*) FROM audit WHERE subject_id = $1"
        assert await owner.fetchval(count, visit) == 1
