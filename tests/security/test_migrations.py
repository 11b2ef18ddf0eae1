"""The migrations: up, down to nothing and up again, and no difference from the models."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from alembic import command

from launch import migrate
from launch.postgres import EmbeddedPostgres


@pytest.fixture
async def empty(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    """The owner's address of an empty database."""
    name = f"migrations_{uuid4().hex[:8]}"
    superuser = await asyncpg.connect(postgres.superuser_dsn)
    try:
        await superuser.execute(f"CREATE DATABASE {name} OWNER carelane_owner")
        yield postgres.dsn("carelane_owner", name)
        await superuser.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await superuser.close()


async def catalogue(dsn: str) -> dict[str, list[str]]:
    """Describe everything that a database has of its own."""
    queries = {
        "relations": "SELECT relname || ' ' || relkind::text FROM pg_class"
        " WHERE relnamespace = 'public'::regnamespace",
        "columns": "SELECT table_name || '.' || column_name || ' ' || data_type || is_nullable"
        " || coalesce(column_default, '') FROM information_schema.columns"
        " WHERE table_schema = 'public'",
        "constraints": "SELECT conrelid::regclass || ' ' || conname || ' '"
        " || pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE connamespace = 'public'::regnamespace",
        "policies": "SELECT p::text FROM pg_policies p WHERE schemaname = 'public'",
        "functions": "SELECT pg_get_functiondef(oid) || coalesce(proacl::text, '') FROM pg_proc"
        " WHERE pronamespace = 'public'::regnamespace AND prokind = 'f'",
        "types": "SELECT typname FROM pg_type WHERE typnamespace = 'public'::regnamespace",
        "grants": "SELECT relname || relacl::text FROM pg_class"
        " WHERE relnamespace = 'public'::regnamespace",
    }
    connection: Any = await asyncpg.connect(dsn)
    try:
        rows = {name: await connection.fetch(query) for name, query in queries.items()}
    finally:
        await connection.close()
    return {name: sorted(str(row[0]) for row in found) for name, found in rows.items()}


async def test_the_migrations_go_up_down_to_nothing_and_up_again(empty: str) -> None:
    await asyncio.to_thread(migrate.upgrade, empty)
    first = await catalogue(empty)
    await asyncio.to_thread(migrate.downgrade, empty, "base")
    left = await catalogue(empty)
    assert [name for name in left["relations"] if not name.startswith("alembic_version")] == []
    assert (left["functions"], left["policies"]) == ([], [])
    await asyncio.to_thread(migrate.upgrade, empty)
    assert await catalogue(empty) == first


async def test_each_step_can_be_taken_back_and_taken_again(empty: str) -> None:
    steps = ["base", *(await asyncio.to_thread(migrate.state, empty)).pending]
    for before, step in pairwise(steps):
        await asyncio.to_thread(migrate.upgrade, empty, step)
        reached = await catalogue(empty)
        await asyncio.to_thread(migrate.downgrade, empty, before)
        await asyncio.to_thread(migrate.upgrade, empty, step)
        assert await catalogue(empty) == reached, step


async def test_the_migrations_make_what_the_models_say(empty: str) -> None:
    await asyncio.to_thread(migrate.upgrade, empty)
    await asyncio.to_thread(command.check, migrate._config(empty))
