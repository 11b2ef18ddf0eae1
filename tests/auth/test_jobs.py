"""What nobody can use any more is deleted by background work."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest

from launch.postgres import EmbeddedPostgres
from server.auth.jobs import forget_expired
from server.auth.sessions import IDLE, LIFETIME
from server.core.clock import MovableClock
from server.core.db import Database
from tests.auth.auth_client import Auth, Connection, Person


@pytest.fixture
async def background(postgres: EmbeddedPostgres) -> AsyncIterator[Database]:
    database = await Database.connect(postgres.worker_dsn, MovableClock(), size=1)
    yield database
    await database.close()


async def left(owner: Connection, person: Person) -> tuple[int, int]:
    """Count the session and the tokens that are left of it."""
    session_id = UUID(person.session.session_id)
    sessions = "SELECT count(*) FROM session WHERE session_id = $1"
    tokens = "SELECT count(*) FROM refresh_token WHERE session_id = $1"
    return await owner.fetchval(sessions, session_id), await owner.fetchval(tokens, session_id)


async def test_tokens_go_when_they_expire_and_sessions_at_their_end(
    live: Auth, owner: Connection, background: Database
) -> None:
    person, clock = await live.person(), background.clock
    await live.RefreshToken(refresh_token=person.session.refresh_token)
    for step, expected in (
        (timedelta(0), (1, 2)),
        (IDLE + timedelta(minutes=1), (1, 0)),
        (LIFETIME - IDLE, (0, 0)),
    ):
        clock.advance(step)
        await forget_expired(background)
        assert await left(owner, person) == expected
