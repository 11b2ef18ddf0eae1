"""A real PostgreSQL for the run, migrated once; each test's changes are rolled back.

`db` is one connection whose transactions are savepoints: quick, and nothing stays. `committed` is a
database of real, committing connections for races and streams, shared by the tests of a run: they
use people and doctors of their own.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from hypothesis import settings

from launch.migrate import upgrade
from launch.postgres import EmbeddedPostgres
from server.core import db as core_db
from server.core.clock import MovableClock
from server.core.db import Database
from tests.world import World, new_city

settings.register_profile("quick", max_examples=30, deadline=None)
settings.register_profile("deep", max_examples=1000, deadline=None)
settings.load_profile(os.environ.get("CARELANE_TEST_COUNTS", "quick"))

os.environ["TZ"] = "Asia/Kathmandu"  # a zone that shows where the machine's leaks in
time.tzset()


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """An embedded PostgreSQL with a migrated database, stopped at the end of the run."""
    with tempfile.TemporaryDirectory(prefix="carelane-test-") as folder:
        Path(folder).chmod(0o755)  # the server runs as a user of its own
        server = EmbeddedPostgres(Path(folder), fast=True)
        server.start()
        try:
            upgrade(server.owner_dsn)
            yield server
        finally:
            server.stop()


@pytest.fixture
def clock() -> MovableClock:
    """A clock that the test may move."""
    return MovableClock()


class SavepointDatabase(Database):
    """A database on one connection, in one transaction, whose transactions are savepoints."""

    _START, _END, _UNDO = (
        "SAVEPOINT call",
        "RELEASE SAVEPOINT call",
        "ROLLBACK TO SAVEPOINT call; RELEASE SAVEPOINT call",
    )

    def __init__(self, connection: Any, clock: MovableClock) -> None:
        super().__init__(None, clock)
        self.connection = connection
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def _acquired(self) -> AsyncIterator[Any]:
        async with self._turn:
            with core_db._translated():
                yield self.connection
                await self.connection.execute(
                    "SELECT set_config('app.user', '', true), set_config('app.admin', '', true),"
                    " set_config('app.key', '', true)"
                )


@pytest.fixture(scope="session")
async def _connections(postgres: EmbeddedPostgres) -> AsyncIterator[dict[str, Any]]:
    opened = {}
    for role, dsn in (
        ("app", postgres.app_dsn),
        ("worker", postgres.worker_dsn),
        ("owner", postgres.owner_dsn),
    ):
        opened[role] = await asyncpg.connect(dsn, server_settings={"timezone": "UTC"})
        await core_db._prepare(opened[role])
    yield opened
    for connection in opened.values():
        await connection.close()


@pytest.fixture
async def db(_connections: dict[str, Any], clock: MovableClock) -> AsyncIterator[Database]:
    """The database as the application role; everything is rolled back after the test."""
    connection = _connections["app"]
    await connection.execute("BEGIN")
    try:
        yield SavepointDatabase(connection, clock)
    finally:
        await connection.execute("ROLLBACK")


@pytest.fixture(scope="session")
async def committed(postgres: EmbeddedPostgres) -> AsyncIterator[Database]:
    """The database as the application role with real commits."""
    database = await Database.connect(postgres.app_dsn, MovableClock(), size=30)
    yield database
    await database.close()


@pytest.fixture(scope="session")
async def city_id(_connections: dict[str, Any]) -> UUID:
    """A city, committed, for the clinics of all tests."""
    return await new_city(_connections["owner"])


@pytest.fixture
async def world(db: Database, city_id: UUID) -> AsyncIterator[World]:
    """The services on the database that is rolled back, and people to call them."""
    made = World(db, city_id)
    yield made
    await made.channel.close()


@pytest.fixture
async def live_world(committed: Database, city_id: UUID) -> AsyncIterator[World]:
    """The same on the database that commits, for races."""
    made = World(committed, city_id)
    yield made
    await made.channel.close()
