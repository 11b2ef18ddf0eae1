"""Seeding a database: reference data always, and a demo world once."""

from collections.abc import Callable
from datetime import UTC, datetime

import asyncpg

from launch.errors import Refusal
from launch.seed import store
from launch.seed.people import DEMO_PASSWORD
from launch.seed.reference import fingerprint
from launch.seed.reference_rows import upsert_reference
from launch.seed.request import Outcome, Request
from launch.seed.rows import Revisions
from launch.seed.store import Mark
from launch.seed.tables import chunk_rows, preface
from launch.seed.world import Chunk, ImpossibleSize, Size, World
from server.auth.passwords import ARGON2, normal

TABLES_A_CHUNK = 15

Advance = Callable[[float, int], None]
"""Told how many doctors are done (parts of one count) and how many there will be."""


def silent(done: float, total: int) -> None:
    """Show nothing."""


async def seed(dsn: str, request: Request, advance: Advance = silent) -> Outcome:
    """Seed the database at `dsn`, as its owner or a superuser.

    A world of one chunk is loaded in one transaction with its mark; a larger one in a transaction
    a chunk, and an interrupted one is taken up where it stopped. Raises Refusal when another world
    was begun here, or the size is impossible.
    """
    async with store.connected(dsn) as connection:
        if request.reference_only:
            await upsert_reference(connection)
            return Outcome(False, "The reference data is up to date.")
        mark = await store.read_mark(connection)
        if mark is None or mark.reference != fingerprint():
            await upsert_reference(connection)
        if mark and mark.complete:
            await store.mark_reference(connection, fingerprint())
            return Outcome(False, f"There already is {described(mark)}: nothing was changed.")
        return await fill(connection, request, mark, advance)


async def fill(
    connection: asyncpg.Connection, request: Request, mark: Mark | None, advance: Advance
) -> Outcome:
    """Load the world asked for, or the rest of the one that was begun."""
    if mark:
        refuse_other(mark, request)
    world = world_of(request, mark)
    await load(connection, world, mark.chunks_done if mark else 0, advance)
    await store.mark_reference(connection, fingerprint())
    return Outcome(True, f"Loaded {described(world)}.")


def described(world: Mark | World) -> str:
    size = world.size
    return (
        f"a demo world of {size.doctors:,} doctors, {size.clinics:,} clinics, "
        f"{size.patients:,} patients and {size.appointments:,} appointments around "
        f"{world.now:%Y-%m-%d}"
    )


def refuse_other(mark: Mark, request: Request) -> None:
    """Refuse a size other than the one that was begun."""
    if request.size not in (None, mark.size):
        raise Refusal(
            f"This database holds a part of {described(mark)}: run `carelane seed` without sizes "
            "to finish it, or start with an empty database."
        )


def world_of(request: Request, mark: Mark | None) -> World:
    if mark:
        return World(mark.seed, mark.now, mark.size)
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    size = request.size or Size()
    try:
        size.check()
    except ImpossibleSize as impossible:
        raise Refusal(str(impossible)) from impossible
    return World(request.seed, request.now or hour, size)


async def load(connection: asyncpg.Connection, world: World, done: int, advance: Advance) -> None:
    """Load what is missing, and let the planner know what came."""
    password_hash = ARGON2.hash(normal(DEMO_PASSWORD))
    chunks = world.chunks()
    forced = await store.tables_with_forced_policies(connection)
    revisions = await store.read_revisions(connection)
    for chunk in chunks[done:]:
        async with store.copying(connection, forced):
            if chunk.number == 0:
                async with store.checked_together(connection):
                    await begin(connection, world, len(chunks), password_hash)
                    await load_chunk(connection, world, chunk, password_hash, revisions, advance)
            else:
                await load_chunk(connection, world, chunk, password_hash, revisions, advance)
            await store.advance_mark(connection)
    await store.analyze(connection)


async def begin(
    connection: asyncpg.Connection, world: World, chunks: int, password_hash: str
) -> None:
    await store.write_mark(connection, world, chunks)
    for rows in preface(world, password_hash):
        await store.copy(connection, rows)


async def load_chunk(
    connection: asyncpg.Connection,
    world: World,
    chunk: Chunk,
    password_hash: str,
    revisions: Revisions,
    advance: Advance,
) -> None:
    before = dict(revisions)
    doctors, total = len(chunk.doctors), world.size.doctors
    for number, rows in enumerate(chunk_rows(world, chunk, password_hash, revisions), start=1):
        await store.copy(connection, rows)
        advance(chunk.doctors.start + doctors * min(number / TABLES_A_CHUNK, 1), total)
    await store.write_revisions(connection, before, revisions)
