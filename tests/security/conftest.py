"""Connections: the owner's, which reads the catalogue and every row, and the server's."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from launch.postgres import EmbeddedPostgres


@pytest.fixture
async def owner(postgres: EmbeddedPostgres) -> AsyncIterator[Any]:
    """A connection as the owner of everything."""
    connection = await asyncpg.connect(postgres.owner_dsn)
    yield connection
    await connection.close()


class Hand:
    """Statements as the server's role; `as_somebody` says in whose name."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    @asynccontextmanager
    async def as_somebody(self, user_id: UUID | None) -> AsyncIterator[Any]:
        """Run the block in a transaction of somebody's (None: nobody's) that is rolled back."""
        transaction = self._connection.transaction()
        await transaction.start()
        try:
            await self._connection.fetch(
                "SELECT set_config('app.user', $1, true)", str(user_id or "")
            )
            yield self._connection
        finally:
            await transaction.rollback()

    async def touched(self, user_id: UUID | None, statement: str, *values: Any) -> int:
        """Answer how many rows a statement in somebody's name touches."""
        async with self.as_somebody(user_id) as connection:
            return int((await connection.execute(statement, *values)).rpartition(" ")[2])


@pytest.fixture
async def hand(postgres: EmbeddedPostgres) -> AsyncIterator[Hand]:
    connection = await asyncpg.connect(postgres.app_dsn)
    yield Hand(connection)
    await connection.close()
