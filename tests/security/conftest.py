"""A connection that reads the catalogue and every row."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from launch.postgres import EmbeddedPostgres


@pytest.fixture
async def owner(postgres: EmbeddedPostgres) -> AsyncIterator[Any]:
    """A connection as the owner of everything."""
    connection = await asyncpg.connect(postgres.owner_dsn)
    yield connection
    await connection.close()
