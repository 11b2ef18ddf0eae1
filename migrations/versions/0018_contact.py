"""Changing the e-mail address, and proving the telephone number."""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

APP, WORKER = "carelane_app", "carelane_worker"
FIRST = ("verify_email", "reset_password")
MORE = ("change_email", "verify_phone")

# How often a code was tried; and where who had the address before is told that it changed.
COLUMNS = f"""
ALTER TABLE account_proof
  ADD COLUMN tries integer NOT NULL DEFAULT 0,
  ADD COLUMN previous_address text;
GRANT UPDATE (tries, previous_address) ON account_proof TO {APP};
GRANT UPDATE (previous_address) ON account_proof TO {WORKER};
GRANT UPDATE (email, phone_verify_time) ON user_account TO {APP};
"""


def upgrade() -> None:
    op.execute(COLUMNS)
    ask_for(*FIRST, *MORE)


def ask_for(*purposes: str) -> None:
    """Let proofs be for these purposes and no others."""
    listed = ", ".join(f"'{purpose}'" for purpose in purposes)
    op.execute(
        "ALTER TABLE account_proof DROP CONSTRAINT account_proof_purpose_check,"
        f" ADD CONSTRAINT account_proof_purpose_check CHECK (purpose IN ({listed}))"
    )


def downgrade() -> None:
    op.execute("DELETE FROM account_proof WHERE purpose IN ('change_email', 'verify_phone')")
    ask_for(*FIRST)
    op.execute(f"REVOKE UPDATE (email, phone_verify_time) ON user_account FROM {APP}")
    op.execute("ALTER TABLE account_proof DROP COLUMN tries, DROP COLUMN previous_address")
