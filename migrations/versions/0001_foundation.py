"""Roles, the functions that policies and defaults use, and the tables of the write path."""

from alembic import op

from migrations.ddl import allow, protect

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ROLE = """
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN
    CREATE ROLE {role} NOLOGIN;
  END IF;
END $$
"""

FUNCTIONS = """
-- A version 7 UUID: milliseconds first, so that ids made together lie together in an index.
-- uuidv7() is there from PostgreSQL 18 only.
CREATE FUNCTION new_id() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
  SELECT (lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0')
          || '7' || substr(replace(gen_random_uuid()::text, '-', ''), 14))::uuid
$$;

-- The present instant: the server's clock, moved by what the platform's clock is moved by.
CREATE FUNCTION app_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
  SELECT clock_timestamp()
         + coalesce(nullif(current_setting('app.clock_offset', true), '')::interval, '0')
$$;

-- Who calls, and the same when the caller is an administrator; NULL sees nothing.
CREATE FUNCTION app_user() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT nullif(current_setting('app.user', true), '')::uuid
$$;
CREATE FUNCTION app_admin() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT nullif(current_setting('app.admin', true), '')::uuid
$$;

-- A span of time of one owner. Overlap of two such ranges is overlap in time for the same owner,
-- which lets a plain GiST exclusion constraint do what otherwise needs btree_gist. Names carry
-- their schema, since an index is built with an empty search path.
CREATE TYPE owner_instant AS (owner uuid, instant timestamptz);
CREATE TYPE owner_period AS RANGE (SUBTYPE = owner_instant);
CREATE FUNCTION period_of(owner uuid, start_time timestamptz, end_time timestamptz)
RETURNS owner_period LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT public.owner_period(ROW(owner, start_time)::public.owner_instant,
                             ROW(owner, end_time)::public.owner_instant)
$$;
"""

TABLES = """
CREATE TABLE idempotency (
  user_id uuid NOT NULL,
  key uuid NOT NULL,
  request_hash uuid NOT NULL,
  response bytea,
  create_time timestamptz NOT NULL DEFAULT app_now(),
  PRIMARY KEY (user_id, key)
);
CREATE INDEX idempotency_create_time ON idempotency (create_time);

CREATE TABLE audit (
  audit_id uuid PRIMARY KEY DEFAULT new_id(),
  create_time timestamptz NOT NULL DEFAULT app_now(),
  actor_id uuid,
  action text NOT NULL,
  subject_id uuid NOT NULL,
  clinic_id uuid,
  fields text[] NOT NULL,
  request_id text
);
CREATE INDEX audit_subject ON audit (subject_id, create_time);
CREATE INDEX audit_clinic ON audit (clinic_id, create_time);

CREATE TABLE outbox (
  outbox_id uuid PRIMARY KEY DEFAULT new_id(),
  topic text NOT NULL,
  subject_id uuid NOT NULL,
  clinic_id uuid,
  payload jsonb NOT NULL,
  create_time timestamptz NOT NULL DEFAULT app_now(),
  due_time timestamptz NOT NULL DEFAULT app_now(),
  attempts integer NOT NULL DEFAULT 0,
  last_error text
);
CREATE INDEX outbox_due ON outbox (due_time, outbox_id);

CREATE TABLE clinic_feed (
  clinic_id uuid PRIMARY KEY,
  epoch uuid NOT NULL DEFAULT gen_random_uuid(),
  last_revision bigint NOT NULL DEFAULT 0
);
CREATE TABLE feed_entry (
  clinic_id uuid NOT NULL REFERENCES clinic_feed,
  revision bigint NOT NULL,
  kind text NOT NULL,
  thing_id uuid NOT NULL,
  state jsonb,
  expire_time timestamptz,
  create_time timestamptz NOT NULL DEFAULT app_now(),
  PRIMARY KEY (clinic_id, revision)
);
CREATE INDEX feed_entry_thing ON feed_entry (clinic_id, kind, thing_id, revision);
"""

# One clinic after the other in id order, so that two transactions never wait for each other.
RECORD_CHANGES = """
CREATE FUNCTION record_changes(document jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  clinic record;
  base bigint;
BEGIN
  IF document->'answer' <> 'null' THEN
    UPDATE idempotency SET response = decode(document->'answer'->>'response', 'base64')
     WHERE user_id = app_user() AND key = (document->'answer'->>'key')::uuid
       AND response IS NULL;
  END IF;

  INSERT INTO audit (actor_id, action, subject_id, clinic_id, fields, request_id)
  SELECT app_user(), c.action, c.subject_id, c.clinic_id, c.fields, c.request_id
    FROM jsonb_to_recordset(document->'changes')
      AS c(action text, subject_id uuid, clinic_id uuid, fields text[], request_id text);

  INSERT INTO outbox (topic, subject_id, clinic_id, payload)
  SELECT c.action, c.subject_id, c.clinic_id, c.event
    FROM jsonb_to_recordset(document->'changes')
      AS c(action text, subject_id uuid, clinic_id uuid, event jsonb)
   WHERE jsonb_typeof(c.event) = 'object';

  FOR clinic IN
    SELECT (change->>'clinic_id')::uuid AS id, count(*) AS entries
      FROM jsonb_array_elements(document->'changes') AS change
     WHERE jsonb_typeof(change->'feed') = 'object'
     GROUP BY 1 ORDER BY 1
  LOOP
    INSERT INTO clinic_feed AS f (clinic_id, last_revision) VALUES (clinic.id, clinic.entries)
    ON CONFLICT (clinic_id) DO UPDATE SET last_revision = f.last_revision + clinic.entries
    RETURNING last_revision - clinic.entries INTO base;

    INSERT INTO feed_entry (clinic_id, revision, kind, thing_id, state, expire_time)
    SELECT clinic.id, base + row_number() OVER (ORDER BY position),
           change->'feed'->>'kind', (change->'feed'->>'thing_id')::uuid,
           nullif(change->'feed'->'state', 'null'),
           (change->'feed'->>'expire_time')::timestamptz
      FROM jsonb_array_elements(document->'changes') WITH ORDINALITY AS c(change, position)
     WHERE jsonb_typeof(change->'feed') = 'object'
       AND (change->>'clinic_id')::uuid = clinic.id;
  END LOOP;
END $$;
REVOKE EXECUTE ON FUNCTION record_changes(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION record_changes(jsonb) TO carelane_app, carelane_worker;
"""


def upgrade() -> None:
    for role in ("carelane_app", "carelane_worker"):
        op.execute(ROLE.format(role=role))
    op.execute("GRANT USAGE ON SCHEMA public TO carelane_app, carelane_worker")
    op.execute(FUNCTIONS)
    op.execute(TABLES)
    for table in ("idempotency", "audit", "outbox", "clinic_feed", "feed_entry"):
        protect(table)
    op.execute(RECORD_CHANGES)
    allow("idempotency", "carelane_app", "SELECT, INSERT", "user_id = app_user()")
    allow("idempotency", "carelane_worker", "SELECT, DELETE")
    allow("audit", "carelane_app", "SELECT", "app_admin() IS NOT NULL")
    allow("outbox", "carelane_worker", "SELECT, UPDATE, DELETE")


def downgrade() -> None:
    """Remove everything but the roles, which belong to the whole server."""
    op.execute("DROP FUNCTION record_changes")
    op.execute("DROP TABLE feed_entry, clinic_feed, outbox, audit, idempotency")
    op.execute("DROP FUNCTION period_of")
    op.execute("DROP TYPE owner_period")
    op.execute("DROP TYPE owner_instant")
    op.execute("DROP FUNCTION app_admin, app_user, app_now, new_id")
