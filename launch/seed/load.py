"""Seeding a database: reference data always, and a demo world once."""

from asyncio import wrap_future
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing
from datetime import UTC, datetime
from functools import partial
from itertools import zip_longest
from typing import NamedTuple
from uuid import UUID

import asyncpg

from launch.errors import Refusal
from launch.seed import store
from launch.seed.people import DEMO_PASSWORD
from launch.seed.reference import fingerprint
from launch.seed.reference_rows import upsert_reference
from launch.seed.request import Outcome, Request
from launch.seed.rows import Revisions, Rows
from launch.seed.store import Mark
from launch.seed.tables import chunk_rows, preface
from launch.seed.world import Chunk, ImpossibleSize, Size, World
from server.auth.passwords import ARGON2, normal

Advance = Callable[[float, int], None]
"""Told how many doctors are done (parts of one count) and how many there will be."""


class Made(NamedTuple):
    """The rows of a chunk, and the newest revisions of the clinics whose feeds they are in."""

    chunk: Chunk
    rows: list[Rows]
    moved: dict[UUID, int]


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
    try:
        await load(connection, world, mark.chunks_done if mark else 0, advance)
    except asyncpg.IntegrityConstraintViolationError as clash:
        raise Refusal(
            f"The demo world does not fit beside what is in the database already ({clash}): "
            "start with an empty one."
        ) from clash
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
    forced = await store.tables_with_forced_policies(connection)
    revisions = await store.read_revisions(connection)
    making = partial(make, world, password_hash, revisions)
    async with aclosing(ahead(making, world.chunks()[done:])) as coming:
        async for made in coming:
            async with store.copying(connection, forced, first=made.chunk.number == 0):
                if made.chunk.number == 0:
                    await begin(connection, world, password_hash)
                await load_chunk(connection, world, made, advance)
                await store.advance_mark(connection)
    await store.analyze(connection)


async def ahead(
    making: Callable[[Chunk], Made], chunks: Sequence[Chunk]
) -> AsyncGenerator[Made, None]:
    """Make each chunk in a thread while the one before it is loaded: the database waits less."""
    coming: Future[Made] | None = None
    with ThreadPoolExecutor(1) as maker:
        for chunk, after in zip_longest(chunks, chunks[1:]):
            made = await wrap_future(coming or maker.submit(making, chunk))
            coming = maker.submit(making, after) if after else None
            yield made


def make(world: World, password_hash: str, revisions: Revisions, chunk: Chunk) -> Made:
    """Make all rows of a chunk; moves `revisions` on."""
    rows = [
        made._replace(records=list(made.records))
        for made in chunk_rows(world, chunk, password_hash, revisions)
    ]
    return Made(chunk, rows, revisions.take_moved())


async def begin(connection: asyncpg.Connection, world: World, password_hash: str) -> None:
    await store.write_mark(connection, world)
    for rows in preface(world, password_hash):
        await store.copy(connection, rows)


async def load_chunk(
    connection: asyncpg.Connection, world: World, made: Made, advance: Advance
) -> None:
    doctors = made.chunk.doctors
    for number, rows in enumerate(made.rows, start=1):
        await store.copy(connection, rows)
        advance(doctors.start + len(doctors) * number / len(made.rows), world.size.doctors)
    await store.write_revisions(connection, made.moved)
