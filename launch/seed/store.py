"""The database's side of a demo world: its mark, COPY, and the clinics' feed revisions."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
import orjson

from launch.errors import Refusal
from launch.seed.rows import Revisions, Rows
from launch.seed.world import Size, World

# The mark of a world lies outside the platform's schema: it is the seeder's own affair.
MARK = """
CREATE SCHEMA IF NOT EXISTS seed;
CREATE TABLE IF NOT EXISTS seed.world (
  single boolean PRIMARY KEY DEFAULT true CHECK (single),
  seed bigint NOT NULL,
  now timestamptz NOT NULL,
  doctors integer NOT NULL,
  clinics integer NOT NULL,
  patients integer NOT NULL,
  appointments integer NOT NULL,
  chunks integer NOT NULL,
  chunks_done integer NOT NULL DEFAULT 0,
  reference text NOT NULL DEFAULT ''
)
"""
LOCK = 7_243_393


@dataclass(frozen=True, slots=True)
class Mark:
    """Which world a database holds, how much of it, and from what reference data."""

    seed: int
    now: datetime
    size: Size
    chunks: int
    chunks_done: int
    reference: str

    @property
    def complete(self) -> bool:
        return self.chunks_done == self.chunks


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """Connect as the owner or a superuser; one seeder works on a database at a time."""
    try:
        connection = await asyncpg.connect(dsn, server_settings={"timezone": "UTC"})
    except (OSError, asyncpg.PostgresError) as failure:
        raise Refusal(f"The database does not let us in: {failure}") from failure
    try:
        if await connection.fetchval("SELECT to_regclass('notification')") is None:
            raise Refusal("The database has no tables yet: run `carelane migrate` first.")
        await connection.set_type_codec(
            "jsonb",
            schema="pg_catalog",
            encoder=lambda value: b"\x01" + orjson.dumps(value),
            decoder=lambda data: orjson.loads(data[1:]),
            format="binary",
        )
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
        yield connection
    finally:
        await connection.close()


async def read_mark(connection: asyncpg.Connection) -> Mark | None:
    """Return the mark; None when there is no demo world, or the tables were emptied since."""
    if await connection.fetchval("SELECT to_regclass('seed.world')") is None:
        return None
    row = await connection.fetchrow(
        "SELECT * FROM seed.world WHERE EXISTS (SELECT FROM user_account)"
    )
    if row is None:
        return None
    size = Size(row["doctors"], row["clinics"], row["patients"], row["appointments"])
    done = row["chunks_done"]
    return Mark(row["seed"], row["now"], size, row["chunks"], done, row["reference"])


async def write_mark(connection: asyncpg.Connection, world: World) -> None:
    await connection.execute(MARK)
    await connection.execute("DELETE FROM seed.world")
    size = world.size
    await connection.execute(
        "INSERT INTO seed.world (seed, now, doctors, clinics, patients, appointments, chunks) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7)",
        *(world.seed, world.now),
        *(size.doctors, size.clinics, size.patients, size.appointments, len(world.chunks())),
    )


async def advance_mark(connection: asyncpg.Connection) -> None:
    await connection.execute("UPDATE seed.world SET chunks_done = chunks_done + 1")


async def mark_reference(connection: asyncpg.Connection, reference: str) -> None:
    await connection.execute("UPDATE seed.world SET reference = $1", reference)


async def tables_with_forced_policies(connection: asyncpg.Connection) -> list[str]:
    """List the tables that this role cannot COPY into as they are."""
    free = await connection.fetchval(
        "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
    )
    if free:
        return []
    rows = await connection.fetch(
        "SELECT relname FROM pg_class WHERE relforcerowsecurity "
        "AND relnamespace = 'public'::regnamespace ORDER BY relname"
    )
    return [row["relname"] for row in rows]


@asynccontextmanager
async def copying(
    connection: asyncpg.Connection, forced: list[str], *, first: bool
) -> AsyncIterator[None]:
    """Open a transaction in which the owner may COPY: policies bind it again when it commits.

    PostgreSQL refuses COPY into a table whose policies bind the role, whatever they say. The
    `first` transaction of a world, which fills empty tables, also checks taken time together.
    """
    async with connection.transaction(), AsyncExitStack() as stack:
        if first:
            await stack.enter_async_context(checked_together(connection))
        for table in forced:
            await connection.execute(f'ALTER TABLE "{table}" NO FORCE ROW LEVEL SECURITY')
        yield
        for table in forced:
            await connection.execute(f'ALTER TABLE "{table}" FORCE ROW LEVEL SECURITY')


@asynccontextmanager
async def checked_together(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """Let exclusion constraints of empty tables check all new rows at the end, five times as fast.

    It is for the transaction that first fills them: the constraints are gone until then, for this
    transaction alone, and come back as they were or the transaction fails.
    """
    constraints = await connection.fetch(
        "SELECT conrelid::regclass::text AS name, quote_ident(conname) AS rule, "
        "pg_get_constraintdef(oid) AS meaning FROM pg_constraint "
        "WHERE contype = 'x' AND connamespace = 'public'::regnamespace ORDER BY 1, 2"
    )
    for name, rule, _ in constraints:
        await connection.execute(f"ALTER TABLE {name} DROP CONSTRAINT {rule}")
    yield
    for name, rule, meaning in constraints:
        await connection.execute(f"ALTER TABLE {name} ADD CONSTRAINT {rule} {meaning}")


async def copy(connection: asyncpg.Connection, rows: Rows) -> None:
    await connection.copy_records_to_table(
        rows.table, records=rows.records, columns=rows.columns.split()
    )


async def analyze(connection: asyncpg.Connection) -> None:
    """Let the planner know what came."""
    rows = await connection.fetch(
        "SELECT quote_ident(tablename) AS name FROM pg_tables WHERE schemaname = 'public'"
    )
    await connection.execute("ANALYZE " + ", ".join(row["name"] for row in rows))


async def read_revisions(connection: asyncpg.Connection) -> Revisions:
    rows = await connection.fetch("SELECT clinic_id, last_revision FROM clinic_feed")
    return Revisions({row["clinic_id"]: row["last_revision"] for row in rows})


async def write_revisions(connection: asyncpg.Connection, moved: dict[UUID, int]) -> None:
    """Set the newest revision of the clinics that got entries."""
    await connection.execute(
        "UPDATE clinic_feed f SET last_revision = m.revision "
        "FROM unnest($1::uuid[], $2::bigint[]) AS m(clinic_id, revision) "
        "WHERE f.clinic_id = m.clinic_id",
        list(moved),
        list(moved.values()),
    )
