"""Row-level security in the words of this project; used by the migrations."""

import re

from alembic import op


def protect(table: str) -> None:
    """Turn row-level security on, for the owner too, and let the migrating owner see every row."""
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY owner ON {table} TO CURRENT_USER USING (true) WITH CHECK (true)")


def allow(table: str, role: str, commands: str, rows: str = "true", check: str = "") -> None:
    """Grant `commands` (such as "SELECT, UPDATE") to `role` on the rows for which `rows` holds.

    Columns in parentheses limit a command to them: "UPDATE (status, revision)". `check` is what a
    row must fulfil after INSERT or UPDATE, when it differs from `rows`.
    """
    op.execute(f"GRANT {commands} ON {table} TO {role}")
    for command in re.findall(r"[A-Z]+", re.sub(r"\(.*?\)", "", commands)):
        using = "" if command == "INSERT" else f"USING ({rows})"
        after = f"WITH CHECK ({check or rows})" if command in {"INSERT", "UPDATE"} else ""
        name = f"{role}_{command.lower()}"
        op.execute(f"CREATE POLICY {name} ON {table} FOR {command} TO {role} {using} {after}")
