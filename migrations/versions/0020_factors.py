"""Second factors, sign-ins that wait for one, and who needs one."""

from alembic import op

from migrations.ddl import allow, protect

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

APP, WORKER = "carelane_app", "carelane_worker"

TABLES = """
ALTER TABLE session ADD COLUMN second_factor_time timestamptz;
GRANT UPDATE (second_factor_time) ON session TO carelane_app;

CREATE TABLE pending_sign_in (
  token_hash bytea PRIMARY KEY,
  user_id uuid NOT NULL REFERENCES user_account ON DELETE CASCADE,
  network_hash bytea NOT NULL,
  known_network boolean NOT NULL,
  create_time timestamptz NOT NULL,
  expire_time timestamptz NOT NULL
);
CREATE INDEX pending_sign_in_user ON pending_sign_in (user_id);
CREATE INDEX pending_sign_in_expire_time ON pending_sign_in (expire_time);

CREATE TABLE factor (
  factor_id uuid PRIMARY KEY,
  user_id uuid NOT NULL REFERENCES user_account ON DELETE CASCADE,
  kind text NOT NULL CONSTRAINT factor_kind_check CHECK (kind IN ('totp', 'passkey')),
  name text NOT NULL,
  secret bytea,
  last_step bigint NOT NULL DEFAULT 0,
  credential_id bytea CONSTRAINT factor_credential_id_key UNIQUE,
  public_key bytea,
  sign_count bigint NOT NULL DEFAULT 0,
  create_time timestamptz NOT NULL,
  confirm_time timestamptz,
  use_time timestamptz,
  CONSTRAINT factor_secret_check CHECK ((kind = 'totp') = (secret IS NOT NULL)),
  CONSTRAINT factor_credential_check
    CHECK ((kind = 'passkey') = (credential_id IS NOT NULL AND public_key IS NOT NULL))
);
CREATE INDEX factor_user ON factor (user_id, create_time);

CREATE TABLE factor_challenge (
  challenge bytea PRIMARY KEY,
  user_id uuid NOT NULL REFERENCES user_account ON DELETE CASCADE,
  purpose text NOT NULL
    CONSTRAINT factor_challenge_purpose_check CHECK (purpose IN ('add', 'check')),
  expire_time timestamptz NOT NULL
);
CREATE INDEX factor_challenge_user ON factor_challenge (user_id);
CREATE INDEX factor_challenge_expire_time ON factor_challenge (expire_time);

CREATE TABLE recovery_code (
  code_hash bytea PRIMARY KEY,
  user_id uuid NOT NULL REFERENCES user_account ON DELETE CASCADE,
  create_time timestamptz NOT NULL,
  spend_time timestamptz
);
CREATE INDEX recovery_code_user ON recovery_code (user_id);
"""

# As the owner: of roles and memberships only one bit comes out, and of the caller's own account.
LOOKUPS = """
CREATE FUNCTION needs_factor(person uuid) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT EXISTS (SELECT FROM user_account u WHERE u.user_id = person AND u.role = 'admin')
      OR EXISTS (SELECT FROM clinic_member m WHERE m.user_id = person AND m.role = 'owner')
$$;

CREATE FUNCTION app_needs_factor() RETURNS TABLE (needed boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT needs_factor(app_user())
$$;

CREATE FUNCTION find_pending_sign_in(hash bytea, at timestamptz)
RETURNS TABLE (user_id uuid, role text, network_hash bytea, known_network boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT u.user_id, u.role, p.network_hash, p.known_network
    FROM pending_sign_in p JOIN user_account u ON u.user_id = p.user_id
   WHERE p.token_hash = hash AND p.expire_time > at AND u.status = 'active'
$$;

DROP FUNCTION find_session;
-- The person's role while the session lasts and the account may be used; no row otherwise. And
-- whether a second factor is needed that the session has not seen.
CREATE FUNCTION find_session(session uuid, owner uuid, at timestamptz)
RETURNS TABLE (role text, needs_factor boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT u.role, s.second_factor_time IS NULL AND needs_factor(u.user_id)
    FROM session s JOIN user_account u ON u.user_id = s.user_id
   WHERE s.session_id = session AND s.user_id = owner
     AND s.end_time IS NULL AND s.expire_time > at AND u.status = 'active'
$$;

REVOKE EXECUTE ON FUNCTION needs_factor, app_needs_factor, find_pending_sign_in, find_session
  FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app_needs_factor, find_pending_sign_in, find_session TO carelane_app;
"""

BEFORE = """
DROP FUNCTION find_session, find_pending_sign_in, app_needs_factor, needs_factor;
-- The person's role while the session lasts and the account may be used; no row otherwise.
CREATE FUNCTION find_session(session uuid, owner uuid, at timestamptz)
RETURNS TABLE (role text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT u.role
    FROM session s JOIN user_account u ON u.user_id = s.user_id
   WHERE s.session_id = session AND s.user_id = owner
     AND s.end_time IS NULL AND s.expire_time > at AND u.status = 'active'
$$;
REVOKE EXECUTE ON FUNCTION find_session FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_session TO carelane_app;
DROP TABLE recovery_code, factor_challenge, factor, pending_sign_in;
ALTER TABLE session DROP COLUMN second_factor_time;
"""


# As before, and with what this migration adds.
ERASE = """
CREATE OR REPLACE FUNCTION erase_account(at timestamptz) RETURNS TABLE (ended uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  UPDATE user_account
     SET status = 'deleted', email = 'deleted-' || user_id || '@deleted.invalid', phone = NULL,
         full_name = 'Deleted account', time_zone = 'UTC', language = 'en',
         email_verify_time = NULL, phone_verify_time = NULL,
         revision = revision + 1, update_time = at
   WHERE user_id = app_user();
  UPDATE patient
     SET full_name = CASE WHEN patient_id <> account_id THEN 'Deleted person' END,
         birth_date = NULL, end_time = coalesce(end_time, at)
   WHERE account_id = app_user();
  DELETE FROM credential WHERE user_id = app_user();
  DELETE FROM account_proof WHERE user_id = app_user();
  DELETE FROM notification WHERE user_id = app_user();
  DELETE FROM calendar_feed WHERE user_id = app_user();
  DELETE FROM refresh_token WHERE user_id = app_user();
{more}  DELETE FROM idempotency WHERE user_id = app_user();
  RETURN QUERY DELETE FROM session WHERE user_id = app_user() RETURNING session_id;
END $$;
"""
MORE = "".join(
    f"  DELETE FROM {table} WHERE user_id = app_user();\n"  # noqa: S608 - tables of this file
    for table in ("pending_sign_in", "factor", "factor_challenge", "recovery_code")
)


def upgrade() -> None:
    op.execute(TABLES)
    for table in ("pending_sign_in", "factor", "factor_challenge", "recovery_code"):
        protect(table)
    op.execute(LOOKUPS)
    op.execute(ERASE.format(more=MORE))
    own = "user_id = (SELECT app_user())"
    allow("pending_sign_in", APP, "SELECT, INSERT, DELETE", own)
    allow("factor", APP, "SELECT, INSERT, DELETE", own)
    columns = "last_step, sign_count, confirm_time, use_time"
    allow("factor", APP, f"UPDATE ({columns})", own)
    allow("factor_challenge", APP, "SELECT, INSERT, DELETE", own)
    allow("recovery_code", APP, "SELECT, INSERT, DELETE", own)
    allow("recovery_code", APP, "UPDATE (spend_time)", own)
    for table in ("pending_sign_in", "factor_challenge"):
        allow(table, WORKER, "SELECT, DELETE")


def downgrade() -> None:
    op.execute(ERASE.format(more=""))
    op.execute(BEFORE)
