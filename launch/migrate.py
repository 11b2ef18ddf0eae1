"""The database schema: bring it to the newest version, or say how far behind it is."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util.exc import CommandError
from sqlalchemy import create_engine, pool
from sqlalchemy.exc import ArgumentError, DBAPIError, ProgrammingError

from launch.errors import Refusal, UnknownSchema

if TYPE_CHECKING:
    from collections.abc import Iterator

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"
NO_PRIVILEGE = "42501"


@dataclass(frozen=True, slots=True)
class State:
    """Where a database stands: its revision (None when empty) and the steps still to take."""

    revision: str | None
    pending: tuple[str, ...]


def upgrade(owner_dsn: str, revision: str = "head") -> None:
    """Migrate up to `revision` as the owner; concurrent callers wait for each other."""
    with _refusals_said():
        command.upgrade(_config(owner_dsn), revision)


def downgrade(owner_dsn: str, revision: str) -> None:
    """Migrate down to `revision`; "base" empties the database."""
    with _refusals_said():
        command.downgrade(_config(owner_dsn), revision)


@contextmanager
def _refusals_said() -> Iterator[None]:
    try:
        yield
    except CommandError as failure:
        raise Refusal(f"The schema cannot be taken there: {failure}.") from None
    except ProgrammingError as failure:
        if getattr(failure.orig, "sqlstate", None) != NO_PRIVILEGE:
            raise
        raise Refusal(
            "The role of MIGRATE_DATABASE_URL does not own the schema: name its owner, "
            "as 'Roles' in docs/runbook.md says."
        ) from None


def state(dsn: str) -> State:
    """Return where the database stands; any role that may read `alembic_version` will do.

    Refuses a database that a newer release has migrated.
    """
    revision = _revision(dsn)
    scripts = ScriptDirectory.from_config(_config(dsn))
    try:
        steps = list(scripts.iterate_revisions("head", revision or "base"))
    except (CommandError, RevisionError) as unknown:
        raise UnknownSchema(
            f"The database is at revision {revision}, which this release does not know: "
            "it was written by a newer Carelane; start that one, or restore a backup."
        ) from unknown
    return State(revision, tuple(step.revision for step in reversed(steps)))


def refuse_older(dsn: str) -> None:
    """Refuse a database that lacks steps of this release; one that is ahead of it will do."""
    try:
        pending = state(dsn).pending
    except UnknownSchema:
        return
    if pending:
        raise Refusal(
            f"The schema of the database lacks {', '.join(pending)}: run `carelane migrate` first."
        )


def _revision(dsn: str) -> str | None:
    try:
        with create_engine(driver_url(dsn), poolclass=pool.NullPool).connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    except (ArgumentError, DBAPIError) as failure:
        words = str(getattr(failure, "orig", failure)).strip().splitlines()
        raise Refusal(
            f"The database cannot be asked for its revision ({words[0]}): see `carelane check`."
        ) from None


def driver_url(dsn: str) -> str:
    """Name psycopg in an address: alembic is synchronous, asyncpg is not."""
    return re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", dsn)


def _config(dsn: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["url"] = dsn
    return config
