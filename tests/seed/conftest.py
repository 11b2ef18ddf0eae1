"""Databases to seed."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from launch.migrate import upgrade
from launch.postgres import EmbeddedPostgres
from launch.seed import store


@pytest.fixture(scope="session")
async def superuser(postgres: EmbeddedPostgres) -> AsyncIterator[asyncpg.Connection]:
    """A connection that may make databases, and a migrated one to copy them from."""
    connection = await asyncpg.connect(postgres.superuser_dsn)
    await connection.execute("CREATE DATABASE unseeded OWNER carelane_owner")
    upgrade(postgres.dsn("carelane_owner", "unseeded"))
    yield connection
    await connection.close()


@pytest.fixture
async def empty(postgres: EmbeddedPostgres, superuser: asyncpg.Connection) -> AsyncIterator[str]:
    """A migrated database of its own; its owner's address."""
    await superuser.execute("CREATE DATABASE seeding TEMPLATE unseeded OWNER carelane_owner")
    yield postgres.dsn("carelane_owner", "seeding")
    await superuser.execute("DROP DATABASE seeding WITH (FORCE)")


@pytest.fixture
async def owner(empty: str) -> AsyncIterator[asyncpg.Connection]:
    async with store.connected(empty) as connection:
        await connection.execute("SELECT pg_advisory_unlock_all()")
        yield connection
