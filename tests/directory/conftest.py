"""A town of many doctors in a database of its own, and the services over it."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from launch.migrate import upgrade
from launch.postgres import EmbeddedPostgres
from launch.seed.reference_rows import upsert_reference
from server.core.clock import MovableClock
from server.core.db import Database
from tests.directory.town import Town, build, draw
from tests.world import World


@pytest.fixture(scope="session")
async def town(postgres: EmbeddedPostgres) -> Town:
    """Build the town; the doctors as they were drawn."""
    superuser = await asyncpg.connect(postgres.superuser_dsn)
    await superuser.execute("CREATE DATABASE town OWNER carelane_owner")
    await superuser.close()
    upgrade(postgres.dsn("carelane_owner", "town"))
    owner = await asyncpg.connect(postgres.dsn("carelane_owner", "town"))
    await upsert_reference(owner)
    drawn = draw()
    await build(owner, drawn)
    await owner.close()
    return drawn


@pytest.fixture(scope="session")
async def town_db(postgres: EmbeddedPostgres, town: Town) -> AsyncIterator[Database]:
    """The town's database as the application role."""
    database = await Database.connect(postgres.dsn("carelane_app", "town"), MovableClock())
    yield database
    await database.close()


@pytest.fixture
async def towns(town_db: Database) -> AsyncIterator[World]:
    """The services over the town."""
    made = World(town_db, UUID(int=0))
    yield made
    await made.channel.close()


@pytest.fixture(scope="session")
async def specialties(postgres: EmbeddedPostgres) -> list[str]:
    """Slugs of three specialties in the database of all tests."""
    slugs = [f"field-{uuid4().hex}" for _ in range(3)]
    owner = await asyncpg.connect(postgres.owner_dsn)
    for slug in slugs:
        await owner.execute(
            "INSERT INTO specialty (slug, name, practitioner, description)"
            " VALUES ($1, $2, 'Practitioner', 'Treats.')",
            slug,
            slug.title(),
        )
    await owner.close()
    return slugs


@pytest.fixture(scope="session")
async def city(postgres: EmbeddedPostgres, city_id: UUID) -> str:
    """The slug of the city of all tests, which is in India."""
    owner = await asyncpg.connect(postgres.owner_dsn)
    slug = await owner.fetchval("SELECT slug FROM city WHERE city_id = $1", city_id)
    await owner.close()
    return str(slug)


@pytest.fixture(scope="session")
async def owner(postgres: EmbeddedPostgres) -> AsyncIterator[Any]:
    """A connection that sees every row that is committed."""
    connection = await asyncpg.connect(postgres.owner_dsn)
    yield connection
    await connection.close()
