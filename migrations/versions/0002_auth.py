"""Accounts, credentials, sessions and refresh tokens."""

from alembic import op

from migrations.ddl import allow, protect

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

APP, WORKER = "carelane_app", "carelane_worker"

TABLES = """
CREATE TABLE user_account (
  user_id uuid PRIMARY KEY,
  email text NOT NULL,
  phone text,
  full_name text NOT NULL,
  role text NOT NULL
    CONSTRAINT user_account_role_check CHECK (role IN ('patient', 'doctor', 'staff', 'admin')),
  status text NOT NULL DEFAULT 'active'
    CONSTRAINT user_account_status_check CHECK (status IN ('active', 'disabled')),
  time_zone text NOT NULL DEFAULT 'UTC',
  language text NOT NULL DEFAULT 'en',
  revision integer NOT NULL DEFAULT 1,
  create_time timestamptz NOT NULL DEFAULT app_now(),
  update_time timestamptz NOT NULL DEFAULT app_now()
);
CREATE UNIQUE INDEX user_account_email ON user_account (lower(email));
CREATE INDEX user_account_create_time ON user_account (create_time);

CREATE TABLE credential (
  user_id uuid PRIMARY KEY REFERENCES user_account ON DELETE CASCADE,
  password_hash text NOT NULL,
  registration_id uuid,
  change_time timestamptz NOT NULL DEFAULT app_now()
);

CREATE TABLE session (
  session_id uuid PRIMARY KEY,
  user_id uuid NOT NULL REFERENCES user_account ON DELETE CASCADE,
  network_hash bytea NOT NULL,
  create_time timestamptz NOT NULL,
  expire_time timestamptz NOT NULL,
  end_time timestamptz,
  end_reason text CONSTRAINT session_end_reason_check
    CHECK (end_reason IN ('logout', 'password_change', 'token_reuse')),
  CONSTRAINT session_ended_check CHECK ((end_time IS NULL) = (end_reason IS NULL)),
  CONSTRAINT session_user_id_session_id_key UNIQUE (user_id, session_id)
);
CREATE INDEX session_network ON session (user_id, network_hash, create_time);
CREATE INDEX session_expire_time ON session (expire_time);

-- A composite key to the session, so that a token is never of another person than its session.
CREATE TABLE refresh_token (
  token_hash bytea PRIMARY KEY,
  user_id uuid NOT NULL,
  session_id uuid NOT NULL,
  create_time timestamptz NOT NULL,
  expire_time timestamptz NOT NULL,
  spend_time timestamptz,
  FOREIGN KEY (user_id, session_id) REFERENCES session (user_id, session_id) ON DELETE CASCADE
);
CREATE INDEX refresh_token_session ON refresh_token (user_id, session_id);
CREATE INDEX refresh_token_expire_time ON refresh_token (expire_time);
"""

# What must be known before there is a caller. Each answers about one person, found by something
# that only this person has (or, for an e-mail address, with a hash that is worthless by itself).
LOOKUPS = """
CREATE FUNCTION find_credential(address text, network bytea, since timestamptz)
RETURNS TABLE (user_id uuid, role text, status text, password_hash text, registration_id uuid,
               known_network boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT u.user_id, u.role, u.status, c.password_hash, c.registration_id,
         EXISTS (SELECT FROM session s WHERE s.user_id = u.user_id
                    AND s.network_hash = network AND s.create_time > since)
    FROM user_account u JOIN credential c ON c.user_id = u.user_id
   WHERE lower(u.email) = lower(address)
$$;

CREATE FUNCTION find_refresh_token(hash bytea)
RETURNS TABLE (user_id uuid, role text, session_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT u.user_id, u.role, t.session_id
    FROM refresh_token t JOIN user_account u ON u.user_id = t.user_id
   WHERE t.token_hash = hash AND u.status = 'active'
$$;

-- The person's role while the session lasts and the account may be used; no row otherwise.
CREATE FUNCTION find_session(session uuid, owner uuid, at timestamptz)
RETURNS TABLE (role text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT u.role
    FROM session s JOIN user_account u ON u.user_id = s.user_id
   WHERE s.session_id = session AND s.user_id = owner
     AND s.end_time IS NULL AND s.expire_time > at AND u.status = 'active'
$$;

REVOKE EXECUTE ON FUNCTION find_credential, find_refresh_token, find_session FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_credential, find_refresh_token, find_session TO carelane_app;
"""


def upgrade() -> None:
    op.execute(TABLES)
    for table in ("user_account", "credential", "session", "refresh_token"):
        protect(table)
    op.execute(LOOKUPS)
    own = "user_id = (SELECT app_user())"
    allow("user_account", APP, "SELECT", f"{own} OR (SELECT app_admin()) IS NOT NULL")
    allow("user_account", APP, "INSERT", f"{own} AND role IN ('patient', 'doctor')")
    allow_columns("user_account", "full_name, phone, time_zone, language, revision, update_time")
    allow("user_account", WORKER, "SELECT")
    allow("credential", APP, "SELECT, INSERT", own)
    allow_columns("credential", "password_hash, change_time")
    allow("session", APP, "SELECT, INSERT", own)
    allow_columns("session", "end_time, end_reason")
    allow("session", WORKER, "SELECT, DELETE")
    allow("refresh_token", APP, "SELECT, INSERT", own)
    allow("refresh_token", WORKER, "SELECT, DELETE")
    allow_columns("refresh_token", "spend_time")


def allow_columns(table: str, columns: str) -> None:
    """Let the server change these columns of the caller's own rows, and no others.

    So nobody can raise their own role or move a row to somebody else.
    """
    op.execute(f"GRANT UPDATE ({columns}) ON {table} TO {APP}")
    op.execute(
        f"CREATE POLICY {APP}_update ON {table} FOR UPDATE TO {APP} "
        "USING (user_id = (SELECT app_user())) WITH CHECK (user_id = (SELECT app_user()))"
    )


def downgrade() -> None:
    op.execute("DROP FUNCTION find_session, find_refresh_token, find_credential")
    op.execute("DROP TABLE refresh_token, session, credential, user_account")
