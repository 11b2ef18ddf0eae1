"""What the database itself guarantees, read from its catalogue.

A table's class (`info["access"]` of its model) says who may see its rows; these tests compare it
with the policies, grants and keys that the migrations made.
"""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table

from server.core.schema import Base

CLASSES = {"public", "person", "clinic", "claim", "system"}
ROLES = ("carelane_app", "carelane_worker")

# Functions with the owner's rights that background work may call, too; the others are the server's.
OF_THE_WORKER = {"record_changes", "seats_of", "booked_times", "away_times"}
# Whose a row is.
KEYS = {"clinic_id", "practice_id", "doctor_id", "patient_id", "user_id"}
# Taken time is seen by all, so it says whose it is and nothing of who comes, where or why.
CLAIM_COLUMNS = {
    "calendar": {"doctor_id", "change_count"},
    "claim": {"claim_id", "doctor_id", "start_time", "end_time", "kind", "expire_time"},
}

ROOT = Path(__file__).resolve().parents[2]
for models in ROOT.glob("server/*/models.py"):
    importlib.import_module(f"server.{models.parent.name}.models")
TABLES = {table.name: table for table in Base.metadata.sorted_tables}


def of_class(*classes: str) -> list[str]:
    return [name for name, table in TABLES.items() if table.info.get("access") in classes]


async def policies(owner: Any, table: str, role: str) -> list[Any]:
    return list(
        await owner.fetch(
            "SELECT * FROM pg_policies WHERE schemaname = 'public' AND tablename = $1"
            " AND (roles && ARRAY[$2, 'public']::name[])",
            table,
            role,
        )
    )


async def grants(owner: Any, table: str, role: str) -> set[str]:
    """Answer what a role may do to a table, to all of it or to some columns."""
    rows = await owner.fetch(
        "SELECT privilege_type FROM information_schema.role_table_grants"
        " WHERE table_name = $1 AND grantee = ANY (ARRAY[$2, 'PUBLIC'])"
        " UNION SELECT privilege_type FROM information_schema.role_column_grants"
        " WHERE table_name = $1 AND grantee = ANY (ARRAY[$2, 'PUBLIC'])",
        table,
        role,
    )
    return {row["privilege_type"] for row in rows}


@pytest.mark.parametrize("table", TABLES)
def test_every_table_says_who_may_see_its_rows(table: str) -> None:
    assert TABLES[table].info.get("access") in CLASSES


async def test_every_table_of_the_database_has_a_model(owner: Any) -> None:
    rows = await owner.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    assert {row["tablename"] for row in rows} - {"alembic_version"} == set(TABLES)


@pytest.mark.parametrize("table", TABLES)
async def test_every_table_has_row_level_security_that_binds_its_owner_too(
    owner: Any, table: str
) -> None:
    row = await owner.fetchrow(
        "SELECT relrowsecurity, relforcerowsecurity, relowner::regrole::text AS owner"
        " FROM pg_class WHERE oid = $1::regclass",
        table,
    )
    assert tuple(row.values()) == (True, True, "carelane_owner")


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_that_runs_is_nobody_special(owner: Any, role: str) -> None:
    powers = await owner.fetchrow(
        "SELECT rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication"
        " AS special, (SELECT count(*) FROM pg_auth_members WHERE member = r.oid) AS memberships"
        " FROM pg_roles r WHERE rolname = $1",
        role,
    )
    assert tuple(powers.values()) == (False, 0)


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_that_runs_owns_nothing(owner: Any, role: str) -> None:
    owned = await owner.fetchval(
        "SELECT count(*) FROM pg_shdepend"
        " WHERE refobjid = $1::regrole AND deptype = 'o' AND refclassid = 'pg_authid'::regclass",
        role,
    )
    assert owned == 0


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_that_runs_creates_nothing(owner: Any, role: str) -> None:
    assert not await owner.fetchval("SELECT has_schema_privilege($1, 'public', 'CREATE')", role)


@pytest.mark.parametrize("table", TABLES)
async def test_nobody_may_empty_a_table_or_hook_into_it(owner: Any, table: str) -> None:
    for role in ROLES:
        assert not await grants(owner, table, role) & {"TRUNCATE", "REFERENCES", "TRIGGER"}


@pytest.mark.parametrize("table", TABLES)
async def test_nothing_is_granted_to_everybody(owner: Any, table: str) -> None:
    acl = await owner.fetchval(
        "SELECT relacl::text[] FROM pg_class WHERE oid = $1::regclass", table
    )
    assert not [entry for entry in acl or () if entry.startswith("=")]
    open_to_all = await owner.fetch(
        "SELECT policyname FROM pg_policies WHERE tablename = $1 AND 'public' = ANY (roles)", table
    )
    assert not open_to_all


@pytest.mark.parametrize("table", of_class("public", "claim"))
async def test_what_is_public_is_read_without_a_condition(owner: Any, table: str) -> None:
    found = await policies(owner, table, "carelane_app")
    assert [each["qual"] for each in found if each["cmd"] == "SELECT"] == ["true"]


@pytest.mark.parametrize("table", of_class("public", "claim"))
async def test_what_is_public_is_not_written_by_everybody(owner: Any, table: str) -> None:
    for each in await policies(owner, table, "carelane_app"):
        assert each["cmd"] == "SELECT" or depends_on_caller(each)


@pytest.mark.parametrize("table", of_class("person", "clinic", "system"))
async def test_what_is_not_public_is_seen_and_written_as_the_caller_alone(
    owner: Any, table: str
) -> None:
    for each in await policies(owner, table, "carelane_app"):
        assert depends_on_caller(each), each["policyname"]


def depends_on_caller(policy: Any) -> bool:
    """Tell whether each condition of a policy asks who calls, or goes through one that does."""
    asks = (
        r"app_(user|admin|key|\w*(clinics|memberships|patients))\(\)|FROM (appointment|access_key)"
    )
    conditions = [policy["qual"], policy["with_check"]]
    return all(re.search(asks, condition) for condition in conditions if condition is not None)


@pytest.mark.parametrize("table", of_class("claim"))
def test_taken_time_tells_nothing_of_who_comes_where_or_why(table: str) -> None:
    assert {column.name for column in TABLES[table].columns} == CLAIM_COLUMNS[table]


@pytest.mark.parametrize("table", of_class("system"))
async def test_the_server_neither_changes_nor_deletes_what_is_the_systems(
    owner: Any, table: str
) -> None:
    assert not await grants(owner, table, "carelane_app") & {"INSERT", "UPDATE", "DELETE"}


@pytest.mark.parametrize("role", ROLES)
async def test_the_audit_is_written_and_deleted_by_nobody(owner: Any, role: str) -> None:
    assert not await grants(owner, "audit", role) & {"INSERT", "DELETE"}


@pytest.mark.parametrize(("role", "columns"), [("app", set()), ("worker", {"seal_number", "seal"})])
async def test_the_seal_alone_is_added_to_a_row_of_the_audit(
    owner: Any, role: str, columns: set[str]
) -> None:
    rows = await owner.fetch(
        "SELECT column_name FROM information_schema.role_column_grants"
        " WHERE table_name = 'audit' AND privilege_type = 'UPDATE' AND grantee = $1",
        f"carelane_{role}",
    )
    assert {row["column_name"] for row in rows} == columns
    for each in await policies(owner, "audit", f"carelane_{role}"):
        assert each["cmd"] == "SELECT" or each["qual"] == "(seal_number IS NULL)"


@pytest.mark.parametrize("table", TABLES)
async def test_every_grant_has_a_policy_and_every_policy_a_grant(owner: Any, table: str) -> None:
    for role in ROLES:
        allowed = {each["cmd"] for each in await policies(owner, table, role)}
        assert allowed == await grants(owner, table, role)


async def test_functions_with_the_owners_rights_pin_their_search_path(owner: Any) -> None:
    rows = await owner.fetch(
        "SELECT proname, proconfig FROM pg_proc"
        " WHERE pronamespace = 'public'::regnamespace AND prosecdef"
    )
    assert rows
    for row in rows:
        (path,) = row["proconfig"]
        assert re.fullmatch(r"search_path=(pg_catalog, )?public, pg_temp", path), row["proname"]


@pytest.mark.parametrize(("role", "allowed"), [("public", set()), ("worker", OF_THE_WORKER)])
async def test_functions_with_the_owners_rights_are_for_named_roles(
    owner: Any, role: str, allowed: set[str]
) -> None:
    rows = await owner.fetch(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef"
        " AND has_function_privilege($1, oid, 'EXECUTE')",
        role.replace("worker", "carelane_worker"),
    )
    assert {row["proname"] for row in rows} == allowed


async def test_views_are_read_with_the_rights_of_their_reader(owner: Any) -> None:
    rows = await owner.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        " AND relkind IN ('v', 'm')"
        " AND NOT coalesce(reloptions @> ARRAY['security_invoker=true'], false)"
    )
    assert [row["relname"] for row in rows] == []


def whose(table: Table) -> set[str]:
    """Answer the columns that say to which clinic, practice or person a row belongs."""
    return KEYS & {column.name for column in table.columns}


@pytest.mark.parametrize("table", TABLES)
def test_a_row_refers_to_rows_of_the_same_clinic_and_people(table: str) -> None:
    for key in TABLES[table].foreign_key_constraints:
        shared = whose(TABLES[table]) & whose(key.referred_table)
        assert shared <= {element.column.name for element in key.elements}, key.name
