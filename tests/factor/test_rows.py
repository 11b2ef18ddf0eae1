"""What the server's own role may do with second factors, and what background work deletes."""

from datetime import timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest

from launch.postgres import EmbeddedPostgres
from server.auth.jobs import forget_expired
from server.core.access import Caller
from server.core.clock import MovableClock
from server.core.db import Database
from server.factor.jobs import forget_challenges
from tests.auth.auth_client import Auth, Connection
from tests.factor.device import Passkey, add_app, add_passkey, begin

FORBIDDEN = (
    "UPDATE factor SET secret = 'x' WHERE user_id = $1",
    "UPDATE factor SET public_key = 'x' WHERE user_id = $1",
    "UPDATE factor SET user_id = gen_random_uuid() WHERE user_id = $1",
    "UPDATE recovery_code SET code_hash = 'x' WHERE user_id = $1",
    "UPDATE factor_challenge SET expire_time = 'infinity' WHERE user_id = $1",
    "UPDATE pending_sign_in SET expire_time = 'infinity' WHERE user_id = $1",
    "INSERT INTO recovery_code SELECT 'x', gen_random_uuid(), now() WHERE $1::uuid IS NOT NULL",
)


@pytest.mark.parametrize("statement", FORBIDDEN)
async def test_the_server_may_not_write_what_it_never_writes(auth: Auth, statement: str) -> None:
    person = await auth.person()
    await add_app(auth, person)
    await begin(auth, person)
    user_id = UUID(person.user.user_id)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with auth.db.transaction(Caller(user_id)) as tx:
            await tx._connection.execute(statement, user_id)


@pytest.mark.parametrize("table", ["factor", "recovery_code", "pending_sign_in"])
async def test_a_person_sees_their_own_rows_only(auth: Auth, table: str) -> None:
    person = await auth.person()
    await add_app(auth, person)
    await begin(auth, person)
    for caller, some in ((Caller(UUID(person.user.user_id)), True), (Caller(uuid4()), False)):
        async with auth.db.transaction(caller) as tx:
            seen = await tx._connection.fetchval(f"SELECT count(*) FROM {table}")
        assert bool(seen) is some


async def test_what_expired_is_deleted(
    live: Auth, owner: Connection, postgres: EmbeddedPostgres
) -> None:
    person = await live.person()
    await add_passkey(live, person, Passkey())
    await live.BeginPasskey(token=person.token)
    await begin(live, person)
    clock = MovableClock()
    background = await Database.connect(postgres.worker_dsn, clock, size=1)
    for moved, left in ((timedelta(0), 1), (timedelta(minutes=6), 0)):
        clock.advance(moved)
        await forget_challenges(background)
        await forget_expired(background)
        for table in ("factor_challenge", "pending_sign_in"):
            query = f"SELECT count(*) FROM {table} WHERE user_id = $1"
            assert await owner.fetchval(query, UUID(person.user.user_id)) == left
    await background.close()
