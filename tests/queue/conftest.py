"""A day at a clinic: a practice, patients who booked, and the clock on that day."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from prometheus_client import CollectorRegistry

from launch.postgres import EmbeddedPostgres
from server.availability.hours import Rule, Window
from server.core import log
from server.core.clock import MovableClock
from server.core.db import Database
from server.core.outbox import OutboxMetrics, Relay
from server.work import HANDLERS, _together
from tests.rows import Practice, add, add_person, add_visit
from tests.world import Person, PracticeOf, World

HALF_HOUR = timedelta(minutes=30)
ALWAYS = tuple(Rule(weekday, Window(0, 0)) for weekday in range(1, 8))


class Day:
    """A practice of which visits are booked for one day, from ten o'clock on."""

    def __init__(self, world: World, practice: PracticeOf, today: date) -> None:
        self.world, self.practice, self.today = world, practice, today
        self.begin = practice.at(today, 10)

    async def book(self, patient: Person | None = None, *, number: int = 0) -> Any:
        """Book the visit that is `number` half hours after ten, for somebody new by default."""
        patient = patient or await self.world.person()
        return await self.world.book(
            patient, self.practice, self.begin + number * timedelta(minutes=30)
        )

    async def call(self, rpc_name: str, person: Person | None = None, **fields: Any) -> Any:
        """Call a change as the doctor, or as `person`."""
        person = person or self.practice.doctor
        return await self.world.call(rpc_name, person, **({"request_id": uuid4()} | fields))

    async def check_in(self, visit: Any, person: Person | None = None, **fields: Any) -> Any:
        fields = {"appointment_id": visit.appointment_id} | fields
        return (await self.call("CheckIn", person, **fields)).entry

    async def call_next(self, person: Person | None = None, **fields: Any) -> Any:
        fields = {"practice_id": self.practice.practice_id} | fields
        return (await self.call("CallNext", person, **fields)).entry

    async def queue(self, person: Person | None = None) -> Any:
        practice = {"practice_id": self.practice.practice_id}
        person = person or self.practice.doctor
        return (await self.world.call("GetQueue", person, **practice)).queue


@pytest.fixture
async def day(world: World, clock: MovableClock) -> Day:
    """A day in the near future whose first visit is in a quarter of an hour."""
    practice = await world.practice()
    today = (datetime.now(UTC) + timedelta(days=3)).date()
    clock.set(practice.at(today, 9, 45))
    return Day(world, practice, today)


@pytest.fixture
async def live_day(live_world: World) -> Day:
    """Today, on the database that commits, in a zone where it is some hours old."""
    now = datetime.now(UTC)
    hours = (now.hour + 20) % 24
    practice = await live_world.practice(
        zone=f"Etc/GMT+{hours}" if hours <= 12 else f"Etc/GMT-{24 - hours}",
        rules=ALWAYS,
        length_minutes=5,
        interval_minutes=5,
    )
    made = Day(live_world, practice, now.astimezone(practice.zone).date())
    made.begin = now + timedelta(minutes=5 - now.minute % 5)
    made.begin = made.begin.replace(second=0, microsecond=0)
    return made


async def add_ticket(
    owner: Any, at: Practice, start: datetime, *, took: timedelta | None = None, called: bool = True
) -> UUID:
    """Add a visit of half an hour, checked in, and called at its start; ended when it `took`."""
    status = "completed" if took else "in_consultation" if called else "checked_in"
    patient = await add_person(owner)
    visit = await add_visit(owner, at, patient, start=start, status=status)
    whose = {"clinic_id": at.clinic_id, "doctor_id": at.doctor_id}
    local_date = (start + timedelta(hours=5, minutes=30)).date()
    query = (
        "INSERT INTO queue_day (clinic_id, doctor_id, practice_id, local_date, last_token)"
        " VALUES ($1, $2, $3, $4, 1) ON CONFLICT (practice_id, local_date)"
        " DO UPDATE SET last_token = queue_day.last_token + 1 RETURNING queue_day_id, last_token"
    )
    row = await owner.fetchrow(query, *whose.values(), at.practice_id, local_date)
    await add(
        owner,
        "queue_ticket",
        appointment_id=visit,
        patient_id=patient,
        queue_day_id=row["queue_day_id"],
        token=row["last_token"],
        booked_minutes=30,
        check_in_time=start,
        consultation_start_time=start if called else None,
        consultation_end_time=start + took if took else None,
        **whose,
    )
    return visit


@pytest.fixture
async def owner(postgres: EmbeddedPostgres) -> AsyncIterator[Any]:
    """A connection that sees every row; the outbox is emptied first."""
    connection = await asyncpg.connect(postgres.owner_dsn)
    await connection.execute("DELETE FROM outbox")
    yield connection
    await connection.close()


@pytest.fixture
async def worker(postgres: EmbeddedPostgres) -> AsyncIterator[Database]:
    """The database as background work sees it."""
    database = await Database.connect(postgres.worker_dsn, MovableClock(), size=4)
    yield database
    await database.close()


@pytest.fixture
def relay() -> Relay:
    """The relay with the handlers of all domains."""
    metrics = OutboxMetrics(CollectorRegistry())
    return Relay(_together(HANDLERS), logger=log.logger("CRITICAL"), metrics=metrics)
