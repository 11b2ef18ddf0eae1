"""A town of many doctors in a database of its own, and the services over it."""

from collections.abc import AsyncIterator
from uuid import UUID

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
