"""How alembic runs here: as the owner, in one transaction, one migrator at a time."""

from __future__ import annotations

import importlib
import os
import pkgutil

from alembic import context
from sqlalchemy import Connection, create_engine, pool, text

import server
from server.core.schema import Base

# Any number does; it is the same for every migrator of a database.
MIGRATION_LOCK = 7_243_392


def import_models() -> None:
    """Import the tables of every domain, so that the metadata is whole."""
    for module in pkgutil.iter_modules(server.__path__, "server."):
        if module.ispkg and importlib.util.find_spec(f"{module.name}.models"):
            importlib.import_module(f"{module.name}.models")


def owner_url() -> str:
    """Return the owner's address for psycopg: alembic is synchronous, asyncpg is not."""
    url = context.config.attributes.get("url") or os.environ.get("MIGRATE_DATABASE_URL")
    if not url:
        raise SystemExit("Set MIGRATE_DATABASE_URL to the address of the owner, or use `carelane`.")
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


def migrate(connection: Connection) -> None:
    """Run what the command asks for on this connection."""
    context.configure(connection=connection, target_metadata=Base.metadata, compare_type=True)
    with context.begin_transaction():
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
        context.run_migrations()
        if connection.scalar(text("SELECT to_regclass('alembic_version')")):
            connection.execute(text("GRANT SELECT ON alembic_version TO carelane_app"))


def print_sql() -> None:
    """Write the statements instead of running them (`alembic upgrade head --sql`)."""
    context.configure(dialect_name="postgresql", target_metadata=Base.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


import_models()
if context.is_offline_mode():
    print_sql()
else:
    with create_engine(owner_url(), poolclass=pool.NullPool).connect() as owner:
        migrate(owner)
