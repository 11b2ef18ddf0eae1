"""The database schema: bring it to the newest version, or say how far behind it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util.exc import CommandError
from sqlalchemy import create_engine, pool
from sqlalchemy.exc import ArgumentError, DBAPIError

from launch.errors import Refusal

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"


@dataclass(frozen=True, slots=True)
class State:
    """Where a database stands: its revision (None when empty) and the steps still to take."""

    revision: str | None
    pending: tuple[str, ...]


def upgrade(owner_dsn: str, revision: str = "head") -> None:
    """Migrate up to `revision` as the owner; concurrent callers wait for each other."""
    command.upgrade(_config(owner_dsn), revision)


def downgrade(owner_dsn: str, revision: str) -> None:
    """Migrate down to `revision`; "base" empties the database."""
    command.downgrade(_config(owner_dsn), revision)


def state(dsn: str) -> State:
    """Return where the database stands; any role that may read `alembic_version` will do.

    Refuses a database that a newer release has migrated.
    """
    revision = _revision(dsn)
    scripts = ScriptDirectory.from_config(_config(dsn))
    try:
        steps = list(scripts.iterate_revisions("head", revision or "base"))
    except (CommandError, RevisionError) as unknown:
        raise Refusal(
            f"The database is at revision {revision}, which this release does not know: "
            "it was written by a newer Carelane; start that one, or restore a backup."
        ) from unknown
    return State(revision, tuple(step.revision for step in reversed(steps)))


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
    return dsn.replace("postgresql://", "postgresql+psycopg://", 1)


def _config(dsn: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["url"] = dsn
    return config
