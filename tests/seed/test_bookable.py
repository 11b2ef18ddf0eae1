"""The server agrees with the seeded world: what is booked could have been booked."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import pytest

from launch.postgres import EmbeddedPostgres
from launch.seed.load import seed
from launch.seed.request import Request
from launch.seed.world import Size
from server.availability import service as availability
from server.core.clock import MovableClock
from server.core.db import Database

NOW = datetime(2026, 3, 2, 6, 30, tzinfo=UTC)
SOME_COMING = """
SELECT appointment_id, doctor_id, practice_id, visit_type_id, start_time, local_date
  FROM appointment WHERE status = 'booked' ORDER BY md5(appointment_id::text) LIMIT 25
"""


@pytest.fixture
async def seeded(empty: str, postgres: EmbeddedPostgres) -> AsyncIterator[Database]:
    """The server's view of a seeded database, at the instant it was seeded for."""
    await seed(empty, Request(Size.of(60), now=NOW))
    clock = MovableClock()
    clock.set(NOW)
    database = await Database.connect(postgres.dsn("carelane_app", "seeding"), clock, size=2)
    yield database
    await database.close()


async def offered(database: Database, visit: asyncpg.Record) -> bool:
    found = await availability.free_slots(
        database,
        NOW,
        visit["doctor_id"],
        practice_id=visit["practice_id"],
        visit_type_id=visit["visit_type_id"],
        first=visit["local_date"],
        days=1,
    )
    return any(visit["start_time"] in day.starts for day in found)


async def test_a_booked_time_is_taken_and_would_be_offered_without_the_booking(
    seeded: Database, owner: asyncpg.Connection
) -> None:
    visits = await owner.fetch(SOME_COMING)
    assert len(visits) == 25
    for visit in visits:
        assert not await offered(seeded, visit)
        await owner.execute("DELETE FROM claim WHERE claim_id = $1", visit["appointment_id"])
        assert await offered(seeded, visit)
