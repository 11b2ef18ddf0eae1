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


async def visit_at(owner: Any, at: Practice, **values: Any) -> UUID:
    """Add a visit of ten thirty in Kolkata, booked the day before."""
    booked = {"update_time": NOW - timedelta(days=1)}
    return await add_visit(owner, at, await add_person(owner), **(booked | values))


async def status(owner: Any, visit: UUID) -> str:
    query = "SELECT status FROM appointment WHERE appointment_id = $1"
    return str(await owner.fetchval(query, visit))


async def after(minutes: int, clock: MovableClock, worker: Database) -> None:
    """Let the job run when so many minutes have gone by since the start."""
    clock.set(NOW + minutes * MINUTE)
    while await mark_missed(worker):
        pass


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


@pytest.mark.parametrize("state", ["checked_in", "in_consultation", "completed"])
async def test_a_patient_who_came_is_not_marked(
    owner: Any, at: Practice, worker: Database, clock: MovableClock, state: str
) -> None:
    visit = await visit_at(owner, at, status=state)
    await after(600, clock, worker)
    assert await status(owner, visit) == state


async def test_a_practice_chooses_the_grace(
    owner: Any, at: Practice, worker: Database, clock: MovableClock
) -> None:
    visit = await visit_at(owner, at)
    whose = {"clinic_id": at.clinic_id, "doctor_id": at.doctor_id}
    ids = {**whose, "practice_id": at.practice_id}
    await add(owner, "queue_setting", **ids, no_show_grace_minutes=60)
    await after(59, clock, worker)
    assert await status(owner, visit) == "booked"
    await owner.execute(
        "UPDATE queue_setting SET no_show_grace_minutes = 0 WHERE practice_id = $1", at.practice_id
    )
    await after(600, clock, worker)
    assert await status(owner, visit) == "booked"
    await owner.execute(
        "UPDATE queue_setting SET no_show_grace_minutes = 60 WHERE practice_id = $1", at.practice_id
    )
    await after(61, clock, worker)
    assert await status(owner, visit) == "no_show"


async def test_a_late_doctor_gives_the_patient_as_much_more_time(
    owner: Any, at: Practice, worker: Database, clock: MovableClock
) -> None:
    visit = await visit_at(owner, at)
    whose = {"clinic_id": at.clinic_id, "doctor_id": at.doctor_id, "practice_id": at.practice_id}
    late = {"late_minutes": 20, "late_time": NOW}
    await add(owner, "queue_day", **whose, local_date=NOW.date(), **late)
    await after(49, clock, worker)
    assert await status(owner, visit) == "booked"
    await after(51, clock, worker)
    assert await status(owner, visit) == "no_show"


async def test_a_mark_that_was_undone_leaves_time_to_check_in(
    owner: Any, at: Practice, worker: Database, clock: MovableClock
) -> None:
    visit = await visit_at(owner, at, update_time=NOW + 40 * MINUTE)
    await after(69, clock, worker)
    assert await status(owner, visit) == "booked"
    await after(71, clock, worker)
    assert await status(owner, visit) == "no_show"


async def test_a_visit_of_the_past_is_left_as_it_is(
    owner: Any, at: Practice, worker: Database, clock: MovableClock
) -> None:
    visit = await visit_at(owner, at)
    await after(24 * 60 + 1, clock, worker)
    assert await status(owner, visit) == "booked"


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
