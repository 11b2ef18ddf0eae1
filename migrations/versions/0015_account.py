"""Proofs that addresses belong to people, and what was proven."""

from alembic import op

from migrations.ddl import allow, protect

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

APP, WORKER = "carelane_app", "carelane_worker"

# A proof is asked for at an address and given with a token that is derived from its id. A reset,
# which nobody signed in asks for, has no account until background work finds whose the address is.
TABLES = """
ALTER TABLE user_account
  ADD COLUMN email_verify_time timestamptz,
  ADD COLUMN phone_verify_time timestamptz;

CREATE TABLE account_proof (
  proof_id uuid PRIMARY KEY,
  user_id uuid REFERENCES user_account ON DELETE CASCADE,
  purpose text NOT NULL CONSTRAINT account_proof_purpose_check
    CHECK (purpose IN ('verify_email', 'reset_password')),
  address text NOT NULL,
  create_time timestamptz NOT NULL,
  expire_time timestamptz NOT NULL,
  use_time timestamptz,
  CONSTRAINT account_proof_owner_check CHECK (user_id IS NOT NULL OR purpose = 'reset_password')
);
CREATE INDEX account_proof_user ON account_proof (user_id, purpose, create_time);
CREATE INDEX account_proof_expire_time ON account_proof (expire_time);
"""

# Who holds a token is no caller yet; the account is answered for an id that only they can know.
LOOKUP = """
CREATE FUNCTION find_account_proof(proof uuid) RETURNS TABLE (user_id uuid, role text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT u.user_id, u.role
    FROM account_proof p JOIN user_account u ON u.user_id = p.user_id
   WHERE p.proof_id = proof AND u.status = 'active'
$$;
REVOKE EXECUTE ON FUNCTION find_account_proof FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_account_proof TO carelane_app;
"""

OWN = "user_id = (SELECT app_user())"


def upgrade() -> None:
    op.execute(TABLES)
    protect("account_proof")
    op.execute(LOOKUP)
    op.execute(f"GRANT UPDATE (email_verify_time) ON user_account TO {APP}")
    allow("account_proof", APP, "SELECT, UPDATE (use_time)", OWN)
    # As nobody, for nobody: then no account is named.
    allow("account_proof", APP, "INSERT", "user_id IS NOT DISTINCT FROM (SELECT app_user())")
    allow("account_proof", WORKER, "SELECT, INSERT, UPDATE (user_id), DELETE")


def downgrade() -> None:
    op.execute("DROP FUNCTION find_account_proof")
    op.execute("DROP TABLE account_proof")
    op.execute(
        "ALTER TABLE user_account DROP COLUMN email_verify_time, DROP COLUMN phone_verify_time"
    )
