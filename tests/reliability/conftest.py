"""A connection that sees every row, and a PostgreSQL that may be killed."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from launch.migrate import upgrade
from launch.postgres import EmbeddedPostgres


@pytest.fixture
async def owner(postgres: EmbeddedPostgres) -> AsyncIterator[Any]:
    """A connection that sees every row."""
    connection = await asyncpg.connect(postgres.owner_dsn)
    yield connection
    await connection.close()


@pytest.fixture(scope="module")
async def mortal(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedPostgres]:
    """A PostgreSQL of its own that loses nothing it has confirmed when it is killed.

    It does not wait for the disk, which matters when the machine goes down, not a process.
    """
    server = EmbeddedPostgres(tmp_path_factory.mktemp("mortal"), fast=True)
    server.start()
    try:
        upgrade(server.owner_dsn)
        superuser = await asyncpg.connect(server.superuser_dsn)
        await superuser.execute("ALTER ROLE carelane_app SET synchronous_commit = on")
        await superuser.close()
        yield server
    finally:
        server.stop()
