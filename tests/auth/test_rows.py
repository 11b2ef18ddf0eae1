"""Row-level security: the server's own role reaches nobody's rows but the caller's."""

from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import asyncpg
import pytest

from server.auth import service, sessions
from server.core.access import ANONYMOUS, Caller
from server.core.db import Transaction
from tests.auth.auth_client import Auth, Connection, Person
from tests.world import World

TABLES = ("user_account", "credential", "session", "refresh_token")
ADMIN = Caller(UUID(int=9), "admin")


async def count(tx: Transaction, table: str) -> int:
    return int(await tx._connection.fetchval(f"SELECT count(*) FROM {table}"))


@pytest.mark.parametrize("table", TABLES)
async def test_a_person_sees_their_own_rows_only(auth: Auth, table: str) -> None:
    person, _ = await auth.person(), await auth.person()
    for caller, seen in ((Caller(UUID(person.user.user_id)), 1), (Caller(uuid4()), 0)):
        async with auth.db.transaction(caller) as tx:
            assert await count(tx, table) == seen


@pytest.mark.parametrize("table", TABLES)
async def test_without_a_caller_nothing_is_seen(auth: Auth, table: str) -> None:
    await auth.person()
    async with auth.db.transaction(ANONYMOUS) as tx:
        assert await count(tx, table) == 0


async def test_an_administrator_sees_accounts_and_no_secrets(auth: Auth) -> None:
    people = [await auth.person() for _ in range(3)]
    ids = [UUID(person.user.user_id) for person in people]
    async with auth.db.transaction(ADMIN) as tx:
        assert (await service.accounts(tx, ids)).keys() == set(ids)
        assert await count(tx, "credential") + await count(tx, "refresh_token") == 0


async def test_others_accounts_are_not_answered(auth: Auth) -> None:
    one, other = await auth.person(), await auth.person()
    own = UUID(one.user.user_id)
    async with auth.db.transaction(Caller(own)) as tx:
        assert (await service.accounts(tx, [own, UUID(other.user.user_id)])).keys() == {own}


async def test_nobody_may_ask_who_has_an_account(auth: Auth) -> None:
    person = await auth.person()
    async with auth.db.transaction(Caller(UUID(person.user.user_id), "doctor")) as tx:
        assert await service.find_account(tx, person.email) is None


async def test_who_manages_a_clinic_finds_an_account_by_its_address(world: World) -> None:
    manager, other = (await world.practice()).owner, await world.person("staff")
    async with world.db.transaction(manager.caller) as tx:
        row = await tx.one(service.GET, id=manager.user_id)
        assert row is not None
        found = await service.find_account(tx, str(row["email"]).upper())
        assert found is not None
        assert found["user_id"] == manager.user_id
    async with world.db.transaction(other.caller) as tx:
        assert await service.find_account(tx, str(row["email"])) is None


FORBIDDEN = {
    "own role": "UPDATE user_account SET role = 'admin' WHERE user_id = $1",
    "own status": "UPDATE user_account SET status = 'active' WHERE user_id = $1",
    "own id": "UPDATE user_account SET user_id = gen_random_uuid() WHERE user_id = $1",
    "own account away": "DELETE FROM user_account WHERE user_id = $1",
    "session prolonged": "UPDATE session SET expire_time = 'infinity' WHERE user_id = $1",
    "session away": "DELETE FROM session WHERE user_id = $1",
    "token prolonged": "UPDATE refresh_token SET expire_time = 'infinity' WHERE user_id = $1",
    "credential of another": "UPDATE credential SET user_id = gen_random_uuid() WHERE user_id = $1",
    "a second administrator": (
        "INSERT INTO user_account (user_id, email, full_name, role) "
        "VALUES ($1, 'new@mail.example', 'New', 'admin')"
    ),
    "somebody else's account": (
        "INSERT INTO user_account (user_id, email, full_name, role) "
        "SELECT gen_random_uuid(), 'new@mail.example', 'New', 'patient' WHERE $1::uuid IS NOT NULL"
    ),
}


@pytest.mark.parametrize("statement", FORBIDDEN.values(), ids=FORBIDDEN.keys())
async def test_the_server_may_not_write_what_it_never_writes(auth: Auth, statement: str) -> None:
    user_id = UUID((await auth.person()).user.user_id)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with auth.db.transaction(Caller(user_id)) as tx:
            await tx._connection.execute(statement, user_id)


CHANGES: dict[str, Callable[[Transaction, Person], Awaitable[int]]] = {
    "password": lambda tx, person: tx.run(
        service.SET_PASSWORD, id=UUID(person.user.user_id), password_hash="x", now=tx.now
    ),
    "account": lambda tx, person: tx.run(
        service.UPDATE, id=UUID(person.user.user_id), now=tx.now,
        full_name="x", phone=None, time_zone="UTC", language="en",
    ),
    "session": lambda tx, person: tx.run(
        sessions.END_ALL, user=UUID(person.user.user_id), now=tx.now, reason="logout"
    ),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
async def test_somebody_elses_rows_are_not_changed(
    auth: Auth, change: Callable[[Transaction, Person], Awaitable[int]]
) -> None:
    person = await auth.person()
    async with auth.db.transaction(Caller(uuid4())) as tx:
        assert await change(tx, person) == 0
    async with auth.db.transaction(Caller(UUID(person.user.user_id))) as tx:
        assert await change(tx, person) == 1


async def test_a_token_of_another_persons_session_cannot_be_stored(
    auth: Auth,
) -> None:
    thief, victim = await auth.person(), await auth.person()
    user_id = UUID(thief.user.user_id)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        async with auth.db.transaction(Caller(user_id)) as tx:
            await tx.run(
                sessions.INSERT_TOKEN, token_hash=b"x", user_id=user_id,
                session_id=UUID(victim.session.session_id), create_time=tx.now, expire_time=tx.now,
            )  # fmt: skip


@pytest.mark.parametrize(
    "lookup",
    [
        "find_credential('a@mail.example', '', now())",
        "find_refresh_token('')",
        "find_session(gen_random_uuid(), gen_random_uuid(), now())",
        "find_pending_sign_in('', now())",
        "app_needs_factor()",
    ],
)
async def test_background_work_may_not_ask_the_lookups(worker: Connection, lookup: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await worker.fetch(f"SELECT * FROM {lookup}")
