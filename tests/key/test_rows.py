"""What the server's role may do with keys by hand, and what a program sees of the tables."""

from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from launch.postgres import EmbeddedPostgres
from server.core.access import Caller, Key
from server.key.scopes import PARTNER, SERVICE
from tests.key.conftest import ADMIN, Keys
from tests.world import tomorrow

DENIED = asyncpg.InsufficientPrivilegeError


def calling(made: Any) -> Caller:
    """Answer the caller that a key makes, whatever its token says."""
    return Caller(key=Key(UUID(made.key.key_id), frozenset()))


async def value(keys: Keys, caller: Caller, query: str, *values: Any) -> Any:
    async with keys.world.db.transaction(caller) as tx:
        return await tx._connection.fetchval(query, *values)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT secret_hash FROM access_key_secret",
        "UPDATE access_key SET scopes = '{}'",
        "UPDATE access_key SET clinic_id = gen_random_uuid()",
        "UPDATE access_key SET use_time = now()",
        "UPDATE access_key_secret SET secret_hash = 'x'",
        "UPDATE access_key_secret SET key_id = gen_random_uuid()",
        "DELETE FROM access_key",
        "DELETE FROM access_key_secret",
        (
            "INSERT INTO access_key (key_id, name, scopes, create_time)"
            " VALUES (gen_random_uuid(), 'A', '{audit.read}', now())"
        ),
    ],
)
async def test_the_owner_of_a_clinic_may_not_by_hand(keys: Keys, statement: str) -> None:
    await keys.make()
    with pytest.raises(DENIED):
        await value(keys, keys.at.owner.caller, statement)


async def test_a_scope_of_the_other_kind_is_refused_by_the_table(keys: Keys) -> None:
    insert = "INSERT INTO access_key VALUES (gen_random_uuid(), $1, 'A', $2, now())"
    with pytest.raises(asyncpg.CheckViolationError):
        await value(keys, keys.at.owner.caller, insert, keys.at.clinic_id, ["audit.read"])
    with pytest.raises(asyncpg.CheckViolationError):
        await value(keys, ADMIN.caller, insert, None, ["schedule.read"])


@pytest.mark.parametrize("table", ["access_key", "access_key_secret"])
async def test_a_program_and_other_owners_see_no_keys(keys: Keys, table: str) -> None:
    made, other = await keys.make(), (await keys.world.practice()).owner
    count = f"SELECT count(*) FROM {table}"
    for caller, seen in (
        (keys.at.owner.caller, 1),
        (other.caller, 0),
        (calling(made), 0),
        (Caller(), 0),
    ):
        assert await value(keys, caller, count.replace("*", "key_id")) == seen


async def test_the_table_shows_a_program_what_its_scopes_open(keys: Keys) -> None:
    patient = await keys.world.person()
    start = keys.at.at(tomorrow(keys.at, keys.world.db.clock.now()), 10)
    await keys.world.book(patient, keys.at, start)
    for scopes, seen in (
        (("availability.read",), (0, 0, 0)),
        (("patients.read",), (0, 0, 0)),
        (("schedule.read",), (1, 0, 0)),
        (("patients.read", "schedule.read"), (1, 1, 1)),
    ):
        program = calling(await keys.make(*scopes))
        for table, count in zip(("appointment", "patient", "user_account"), seen, strict=True):
            assert await value(keys, program, f"SELECT count(*) FROM {table}") == count


@pytest.mark.parametrize("kind", ["partner", "service"])
async def test_a_program_changes_no_row_of_any_table(keys: Keys, kind: str) -> None:
    patient = await keys.world.person()
    start = keys.at.at(tomorrow(keys.at, keys.world.db.clock.now()), 10)
    await keys.world.book(patient, keys.at, start)
    partner = kind == "partner"
    made = await (keys.make(*PARTNER) if partner else keys.make(*SERVICE, by=ADMIN))
    caller = calling(made)
    granted = await changes(keys)
    assert len(granted) > 50
    assert {change: n for change in granted if (n := await touched(keys, caller, change))} == {}


async def changes(keys: Keys) -> list[str]:
    """Answer a statement for each deletion and each change of a column that is granted."""
    async with keys.world.db.transaction() as tx:
        columns = await tx._connection.fetch(
            "SELECT table_name, column_name FROM information_schema.column_privileges"
            " WHERE grantee = current_user AND privilege_type = 'UPDATE'"
        )
        tables = await tx._connection.fetch(
            "SELECT table_name FROM information_schema.table_privileges"
            " WHERE grantee = current_user AND privilege_type = 'DELETE'"
        )
    updates = [f"UPDATE {table} SET {column} = DEFAULT" for table, column in columns]
    return updates + [f"DELETE FROM {table}" for (table,) in tables]


async def touched(keys: Keys, caller: Caller, statement: str) -> int:
    """Answer how many rows a statement changes."""
    async with keys.world.db.transaction(caller) as tx:
        status = await tx._connection.execute(statement)
        return int(status.rpartition(" ")[2])


async def test_a_revoked_key_sees_nothing_at_once(keys: Keys) -> None:
    clinics = "SELECT cardinality(app_key_clinics('schedule.read'))"
    made = await keys.make()
    assert await value(keys, calling(made), clinics) == 1
    await keys.revoke(made)
    assert await value(keys, calling(made), clinics) == 0


async def test_a_key_of_the_platform_has_no_clinic_and_a_partner_s_no_platform(keys: Keys) -> None:
    partner, service = await keys.make(), await keys.make("audit.read", by=ADMIN)
    opens = "SELECT app_key_opens('audit.read')"
    clinics = "SELECT cardinality(app_key_clinics('audit.read'))"
    assert await value(keys, calling(service), opens)
    assert not await value(keys, calling(partner), opens)
    assert await value(keys, calling(service), clinics) == 0
    assert await value(keys, Caller(key=Key(uuid4(), frozenset({"audit.read"}))), opens) is False


async def test_figures_are_for_administrators_and_keys_that_may_read_them(keys: Keys) -> None:
    count = "SELECT total FROM count_accounts(now(), now(), now())"
    reports = calling(await keys.make("reports.read", by=ADMIN))
    for caller in (ADMIN.caller, reports):
        assert await value(keys, caller, count) > 0
        assert await value(keys, caller, "SELECT app_reports()")
    others = (await keys.make("audit.read", by=ADMIN), await keys.make())
    for caller in (keys.at.owner.caller, Caller(), *map(calling, others)):
        assert await value(keys, caller, count) == 0
    assert await value(keys, reports, "SELECT count(*) FROM user_account") == 0


@pytest.mark.parametrize(
    "lookup",
    [
        "find_key_secrets(gen_random_uuid(), now())",
        "find_live_key(gen_random_uuid(), gen_random_uuid(), now())",
        "touch_key(now(), now())",
        "app_key_clinics('schedule.read')",
        "app_key_opens('audit.read')",
    ],
)
async def test_background_work_may_not_ask_the_lookups(
    postgres: EmbeddedPostgres, lookup: str
) -> None:
    worker = await asyncpg.connect(postgres.worker_dsn)
    with pytest.raises(DENIED):
        await worker.fetch(f"SELECT * FROM {lookup}")
    await worker.close()
