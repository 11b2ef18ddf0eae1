"""What a person is shown of a session, and when its owner last proved to be there."""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

REASONS = ("logout", "password_change", "token_reuse", "password_reset")
MORE_REASONS = ("revocation", "disabling", "deletion", "email_change")

COLUMNS = """
ALTER TABLE session
  ADD COLUMN device text NOT NULL DEFAULT '',
  ADD COLUMN subnet text NOT NULL DEFAULT '',
  ADD COLUMN use_time timestamptz,
  ADD COLUMN proof_time timestamptz;
GRANT UPDATE (use_time, proof_time) ON session TO carelane_app;
"""


def upgrade() -> None:
    op.execute(COLUMNS)
    end_for(*REASONS, *MORE_REASONS)


def end_for(*reasons: str) -> None:
    """Let a session end for these reasons and no others."""
    listed = ", ".join(f"'{reason}'" for reason in reasons)
    op.execute(
        "ALTER TABLE session DROP CONSTRAINT session_end_reason_check, "
        f"ADD CONSTRAINT session_end_reason_check CHECK (end_reason IN ({listed}))"
    )


def downgrade() -> None:
    kept = ", ".join(f"'{reason}'" for reason in REASONS)
    others = f"end_reason NOT IN ({kept})"
    op.execute(f"UPDATE session SET end_reason = 'logout' WHERE {others}")  # noqa: S608 - ours
    end_for(*REASONS)
    for column in ("device", "subnet", "use_time", "proof_time"):
        op.execute(f"ALTER TABLE session DROP COLUMN {column}")
