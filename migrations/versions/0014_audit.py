"""What an audit row says: for whom, whose data, values before and after; and who reads the rows."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

COLUMNS = """
ALTER TABLE audit
  ADD COLUMN on_behalf_of_id uuid,
  ADD COLUMN patient_ids uuid[],
  ADD COLUMN changes jsonb;
CREATE INDEX audit_time ON audit (create_time, audit_id);
CREATE INDEX audit_actor ON audit (actor_id, create_time);
CREATE INDEX audit_request ON audit (request_id);
CREATE INDEX audit_action ON audit (action, create_time);
-- Without fastupdate, whose clean-up some booking would have to wait for.
CREATE INDEX audit_patients ON audit USING gin (patient_ids) WITH (fastupdate = off)
  WHERE patient_ids IS NOT NULL;
"""

# The whole write path: a change of it replaces all of it.
RECORD_CHANGES = """
CREATE OR REPLACE FUNCTION record_changes(document jsonb) RETURNS void
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

  INSERT INTO audit (actor_id, {columns})
  SELECT app_user(), {values}
    FROM jsonb_to_recordset(document->'changes') AS c({types});

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
"""
BEFORE = {
    "action": "text",
    "subject_id": "uuid",
    "clinic_id": "uuid",
    "fields": "text[]",
    "request_id": "text",
}
AFTER = BEFORE | {"on_behalf_of_id": "uuid", "patient_ids": "uuid[]", "changes": "jsonb"}

# As the owner: the rows name others, too, and here only what is the caller's is shown. It finds
# them by an index, which a policy over arrays could not use; MATERIALIZED keeps the planner from
# walking through everybody's rows by time instead.
OWN_ACCESS = """
CREATE FUNCTION own_access(before_time timestamptz, before_id uuid, most integer)
RETURNS TABLE (audit_id uuid, create_time timestamptz, actor_id uuid, action text,
               subject_id uuid, clinic_id uuid, fields text[], patient_ids uuid[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  WITH own AS MATERIALIZED (
    SELECT a.* FROM audit a
     WHERE a.patient_ids && (SELECT app_patients())
        OR a.subject_id = ANY ((SELECT app_patients())::uuid[]))
  SELECT o.audit_id, o.create_time, o.actor_id, o.action, o.subject_id, o.clinic_id, o.fields,
         ARRAY(SELECT unnest(o.patient_ids) INTERSECT SELECT unnest(app_patients()))
    FROM own o
   WHERE before_time IS NULL OR (o.create_time, o.audit_id) < (before_time, before_id)
   ORDER BY o.create_time DESC, o.audit_id DESC
   LIMIT least(most, 1000)
$$;
REVOKE EXECUTE ON FUNCTION own_access FROM PUBLIC;
GRANT EXECUTE ON FUNCTION own_access TO carelane_app;
"""
ADMIN = "(SELECT app_admin()) IS NOT NULL"
OWNED = "clinic_id = ANY ((SELECT app_owned_clinics())::uuid[])"


def upgrade() -> None:
    op.execute(COLUMNS)
    op.execute(_record_changes(AFTER))
    op.execute(OWN_ACCESS)
    op.execute(f"ALTER POLICY carelane_app_select ON audit USING ({ADMIN} OR {OWNED})")


def _record_changes(columns: dict[str, str]) -> str:
    return RECORD_CHANGES.format(
        columns=", ".join(columns),
        values=", ".join(f"c.{name}" for name in columns),
        types=", ".join(f"{name} {type_}" for name, type_ in columns.items()),
    )


def downgrade() -> None:
    op.execute("ALTER POLICY carelane_app_select ON audit USING (app_admin() IS NOT NULL)")
    op.execute("DROP FUNCTION own_access")
    op.execute(_record_changes(BEFORE))
    op.execute("DROP INDEX audit_time, audit_actor, audit_request, audit_action, audit_patients")
    op.execute("ALTER TABLE audit DROP COLUMN on_behalf_of_id, DROP COLUMN patient_ids")
    op.execute("ALTER TABLE audit DROP COLUMN changes")
