"""AuthService on a database that is rolled back, and on one that commits."""

from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest
from argon2 import PasswordHasher

from launch.postgres import EmbeddedPostgres
from server.auth.passwords import Passwords
from server.core.db import Database
from tests.auth.auth_client import Auth, Connection


@pytest.fixture(scope="session")
def passwords() -> Iterator[Passwords]:
    """Hashing at next to no cost, for all that is not about hashing."""
    made = Passwords(PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    yield made
    made.close()


@pytest.fixture(scope="session")
async def owner(postgres: EmbeddedPostgres) -> AsyncIterator[Connection]:
    """A connection that sees every row, to look behind the service."""
    connection = await asyncpg.connect(postgres.owner_dsn)
    yield connection
    await connection.close()


@pytest.fixture
async def worker(postgres: EmbeddedPostgres) -> AsyncIterator[Connection]:
    """A connection of the role that background work runs as."""
    connection = await asyncpg.connect(postgres.worker_dsn)
    yield connection
    await connection.close()


@pytest.fixture
async def auth(db: Database, passwords: Passwords) -> AsyncIterator[Auth]:
    """The service on a database that is rolled back after the test."""
    made = Auth(db, passwords)
    yield made
    await made.channel.close()


@pytest.fixture
async def live(committed: Database, passwords: Passwords) -> AsyncIterator[Auth]:
    """The service on a database with many connections that commit."""
    made = Auth(committed, passwords)
    yield made
    await made.channel.close()


@pytest.fixture
async def hashing(committed: Database) -> AsyncIterator[Auth]:
    """The service as it runs, with hashing at its full cost."""
    passwords = Passwords()
    made = Auth(committed, passwords)
    yield made
    await made.channel.close()
    passwords.close()
