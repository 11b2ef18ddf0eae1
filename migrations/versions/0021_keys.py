"""Keys of programs: of a clinic's partners, and of the platform's own tools."""

from alembic import op

from migrations.ddl import allow, protect

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

APP = "carelane_app"

TABLES = """
CREATE TABLE access_key (
  key_id uuid PRIMARY KEY,
  clinic_id uuid REFERENCES clinic,
  name text NOT NULL,
  scopes text[] NOT NULL,
  create_time timestamptz NOT NULL,
  use_time timestamptz,
  revoke_time timestamptz,
  CONSTRAINT access_key_scopes_check CHECK (cardinality(scopes) > 0),
  CONSTRAINT access_key_scopes_of_kind_check CHECK (
    CASE WHEN clinic_id IS NULL THEN scopes <@ ARRAY['audit.read']
         ELSE scopes <@ ARRAY['availability.read', 'patients.read', 'schedule.read'] END)
);
CREATE INDEX access_key_clinic ON access_key (clinic_id, create_time, key_id);

CREATE TABLE access_key_secret (
  secret_id uuid PRIMARY KEY,
  key_id uuid NOT NULL REFERENCES access_key,
  secret_hash bytea NOT NULL,
  prefix text NOT NULL,
  create_time timestamptz NOT NULL,
  expire_time timestamptz
);
CREATE UNIQUE INDEX access_key_secret_present ON access_key_secret (key_id)
  WHERE expire_time IS NULL;
CREATE INDEX access_key_secret_key ON access_key_secret (key_id, create_time);
"""

FUNCTIONS = """
-- The key that calls; a program is nobody to what asks for a person.
CREATE FUNCTION app_key() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT nullif(current_setting('app.key', true), '')::uuid
$$;

-- As the owner, since keys are not to be listed by themselves.
-- The clinic of the partner's key that calls, if the key has the scope.
CREATE FUNCTION app_key_clinics(wanted text) RETURNS uuid[] LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT coalesce(array_agg(clinic_id), '{}') FROM access_key
   WHERE key_id = app_key() AND revoke_time IS NULL AND wanted = ANY (scopes)
     AND clinic_id IS NOT NULL
$$;
-- Whether the key that calls is one of the platform's own and has the scope.
CREATE FUNCTION app_key_opens(wanted text) RETURNS boolean LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT EXISTS (SELECT FROM access_key
   WHERE key_id = app_key() AND revoke_time IS NULL AND wanted = ANY (scopes)
     AND clinic_id IS NULL)
$$;

-- Whether somebody comes to a visit that the partner's key sees, and may be known to it.
CREATE FUNCTION app_key_sees(person uuid) RETURNS boolean LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT EXISTS (SELECT FROM appointment a
   WHERE a.patient_id = person AND a.clinic_id = ANY (app_key_clinics('patients.read'))
     AND a.clinic_id = ANY (app_key_clinics('schedule.read')))
$$;
-- The same of the account that somebody has, or that somebody depends on.
CREATE FUNCTION app_key_sees_account(account uuid) RETURNS boolean LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT EXISTS (SELECT FROM patient p
   WHERE p.account_id = account AND app_key_sees(p.patient_id))
$$;

-- Before a caller is known: the secrets with which a key may be exchanged.
CREATE FUNCTION find_key_secrets(wanted uuid, at timestamptz)
RETURNS TABLE (secret_id uuid, secret_hash bytea, clinic_id uuid, scopes text[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT s.secret_id, s.secret_hash, k.clinic_id, k.scopes
    FROM access_key k JOIN access_key_secret s ON s.key_id = k.key_id
   WHERE k.key_id = wanted AND k.revoke_time IS NULL
     AND (s.expire_time IS NULL OR s.expire_time > at)
$$;

-- What a key may do while it and the secret that it was exchanged with last; no row otherwise.
CREATE FUNCTION find_live_key(wanted uuid, secret uuid, at timestamptz)
RETURNS TABLE (clinic_id uuid, scopes text[], use_time timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT k.clinic_id, k.scopes, k.use_time
    FROM access_key k JOIN access_key_secret s ON s.key_id = k.key_id
   WHERE k.key_id = wanted AND s.secret_id = secret AND k.revoke_time IS NULL
     AND (s.expire_time IS NULL OR s.expire_time > at)
$$;

-- Notes that the key that calls is used, unless that was noted since.
CREATE FUNCTION touch_key(at timestamptz, since timestamptz) RETURNS TABLE (touched boolean)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  UPDATE access_key SET use_time = at
   WHERE key_id = app_key() AND (use_time IS NULL OR use_time <= since)
  RETURNING true
$$;
REVOKE EXECUTE ON FUNCTION app_key_clinics, app_key_opens, app_key_sees, app_key_sees_account,
  find_key_secrets, find_live_key, touch_key FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app_key_clinics, app_key_opens, app_key_sees, app_key_sees_account,
  find_key_secrets, find_live_key, touch_key TO carelane_app;
"""

# The write path names the key as who acted, where a program and no person did.
ACTOR = """
DO $$
DECLARE
  present text := pg_get_functiondef('record_changes(jsonb)'::regprocedure);
BEGIN
  IF position('SELECT {old},' IN present) = 0 THEN
    RAISE EXCEPTION 'record_changes() does not name its actor as expected';
  END IF;
  EXECUTE replace(present, 'SELECT {old},', 'SELECT {new},');
END $$
"""
PERSON, ANY_ACTOR = "app_user()", "coalesce(app_user(), app_key())"

MANAGED = (
    "clinic_id = ANY ((SELECT app_managed_clinics())::uuid[])"
    " OR (clinic_id IS NULL AND (SELECT app_admin()) IS NOT NULL)"
)
# Through the policy of the key.
OF_KEY = "EXISTS (SELECT FROM access_key k WHERE k.key_id = access_key_secret.key_id)"


# A CASE, and functions for the rest: reading as a person costs no more than before.
SCHEDULE = (
    "clinic_id = ANY ((SELECT CASE WHEN app_key() IS NOT NULL"
    " THEN app_key_clinics('schedule.read') END)::uuid[])"
)
PROGRAM = "(SELECT app_key()) IS NOT NULL"
READERS = {
    "appointment": SCHEDULE,
    "payment_transaction": SCHEDULE,
    "patient": f"{PROGRAM} AND app_key_sees(patient_id)",
    "user_account": f"{PROGRAM} AND app_key_sees_account(user_id)",
    "audit": f"{PROGRAM} AND (SELECT app_key_opens('audit.read'))",
}


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(FUNCTIONS)
    op.execute(ACTOR.format(old=PERSON, new=ANY_ACTOR))
    for table in ("access_key", "access_key_secret"):
        protect(table)
    allow("access_key", APP, "SELECT, INSERT, UPDATE (revoke_time)", MANAGED)
    # Not the hash: it leaves by find_key_secrets() alone.
    shown = "secret_id, key_id, prefix, create_time, expire_time"
    allow("access_key_secret", APP, f"SELECT ({shown}), INSERT, UPDATE (expire_time)", OF_KEY)
    for table, rows in READERS.items():
        op.execute(f"CREATE POLICY programs ON {table} FOR SELECT TO {APP} USING ({rows})")
    # Time is freed by those who see its visit: programs see some, and free none.
    op.execute(
        f"CREATE POLICY no_programs ON claim AS RESTRICTIVE FOR DELETE TO {APP}"
        " USING (app_key() IS NULL)"
    )


def downgrade() -> None:
    op.execute("DROP POLICY no_programs ON claim")
    for table in READERS:
        op.execute(f"DROP POLICY programs ON {table}")
    op.execute(ACTOR.format(old=ANY_ACTOR, new=PERSON))
    op.execute("DROP TABLE access_key_secret, access_key")
    op.execute("DROP FUNCTION touch_key, find_live_key, find_key_secrets, app_key_sees_account")
    op.execute("DROP FUNCTION app_key_sees, app_key_opens, app_key_clinics, app_key")
