"""Who waits for a time, and the times that are offered to them."""

from alembic import op

from migrations.ddl import allow, protect

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE waitlist_entry (
  entry_id uuid PRIMARY KEY DEFAULT new_id(),
  patient_id uuid NOT NULL REFERENCES patient,
  wanted_clinic_id uuid,
  wanted_practice_id uuid,
  wanted_doctor_id uuid,
  visit_type_id uuid,
  specialty_id uuid REFERENCES specialty,
  city_id uuid REFERENCES city,
  weekdays integer[] NOT NULL,
  earliest_minute integer NOT NULL,
  latest_minute integer NOT NULL,
  from_date date NOT NULL,
  until_date date NOT NULL,
  status text NOT NULL DEFAULT 'waiting'
    CHECK (status IN ('waiting', 'offered', 'booked', 'left', 'ended')),
  create_time timestamptz NOT NULL DEFAULT app_now(),
  update_time timestamptz NOT NULL DEFAULT app_now(),
  UNIQUE (patient_id, entry_id),
  CONSTRAINT waitlist_entry_practice_fkey
    FOREIGN KEY (wanted_clinic_id, wanted_practice_id, wanted_doctor_id)
    REFERENCES practice (clinic_id, practice_id, doctor_id),
  FOREIGN KEY (wanted_practice_id, visit_type_id)
    REFERENCES visit_type (practice_id, visit_type_id),
  CONSTRAINT waitlist_entry_wish_check CHECK (
    num_nonnulls(wanted_clinic_id, wanted_practice_id, wanted_doctor_id) = 3
    AND num_nonnulls(specialty_id, city_id) = 0
    OR num_nonnulls(wanted_clinic_id, wanted_practice_id, wanted_doctor_id, visit_type_id) = 0
    AND num_nonnulls(specialty_id, city_id) = 2),
  CONSTRAINT waitlist_entry_minutes_check
    CHECK (earliest_minute BETWEEN 0 AND latest_minute AND latest_minute < 1440),
  CONSTRAINT waitlist_entry_dates_check CHECK (from_date <= until_date)
);
CREATE UNIQUE INDEX waitlist_entry_practice_once ON waitlist_entry (patient_id, wanted_practice_id)
  WHERE status IN ('waiting', 'offered') AND wanted_practice_id IS NOT NULL;
CREATE UNIQUE INDEX waitlist_entry_specialty_once
  ON waitlist_entry (patient_id, specialty_id, city_id)
  WHERE status IN ('waiting', 'offered') AND specialty_id IS NOT NULL;
CREATE INDEX waitlist_entry_patient ON waitlist_entry (patient_id, create_time, entry_id);
CREATE INDEX waitlist_entry_practice
  ON waitlist_entry (wanted_practice_id, create_time, entry_id)
  WHERE status IN ('waiting', 'offered');
CREATE INDEX waitlist_entry_specialty
  ON waitlist_entry (specialty_id, city_id, create_time, entry_id)
  WHERE status IN ('waiting', 'offered');

CREATE TABLE waitlist_offer (
  offer_id uuid PRIMARY KEY DEFAULT new_id(),
  entry_id uuid NOT NULL,
  patient_id uuid NOT NULL,
  clinic_id uuid NOT NULL,
  practice_id uuid NOT NULL,
  doctor_id uuid NOT NULL,
  visit_type_id uuid NOT NULL,
  hold_id uuid NOT NULL,
  start_time timestamptz NOT NULL,
  end_time timestamptz NOT NULL,
  expire_time timestamptz NOT NULL,
  status text NOT NULL DEFAULT 'open'
    CHECK (status IN ('open', 'accepted', 'declined', 'lapsed')),
  appointment_id uuid,
  create_time timestamptz NOT NULL DEFAULT app_now(),
  UNIQUE (entry_id, practice_id, start_time),
  FOREIGN KEY (patient_id, entry_id) REFERENCES waitlist_entry (patient_id, entry_id),
  FOREIGN KEY (clinic_id, practice_id, doctor_id)
    REFERENCES practice (clinic_id, practice_id, doctor_id),
  FOREIGN KEY (practice_id, visit_type_id) REFERENCES visit_type (practice_id, visit_type_id),
  CONSTRAINT waitlist_offer_accepted_check
    CHECK ((status = 'accepted') = (appointment_id IS NOT NULL))
);
CREATE UNIQUE INDEX waitlist_offer_open ON waitlist_offer (entry_id) WHERE status = 'open';
CREATE INDEX waitlist_offer_due ON waitlist_offer (expire_time) WHERE status = 'open';
CREATE INDEX waitlist_offer_patient ON waitlist_offer (patient_id);

CREATE TABLE waitlist_due (
  practice_id uuid PRIMARY KEY REFERENCES practice,
  due_time timestamptz NOT NULL DEFAULT app_now()
);
"""

OWN = "patient_id = ANY ((SELECT app_patients())::uuid[])"
WANTED = (
    "wanted_doctor_id = (SELECT app_user())"
    " OR wanted_clinic_id = ANY ((SELECT app_clinics())::uuid[])"
)
OURS = "doctor_id = (SELECT app_user()) OR clinic_id = ANY ((SELECT app_clinics())::uuid[])"
# Through the entry's own policy: who waits for the doctor or the clinic, and nobody else.
WAITING = (
    "(SELECT app_user()) IS NOT NULL AND EXISTS (SELECT FROM waitlist_entry e"
    " WHERE e.patient_id = patient.patient_id AND e.status IN ('waiting', 'offered'))"
)
ACCOUNTS = (
    "(SELECT app_user()) IS NOT NULL AND EXISTS (SELECT FROM waitlist_entry e"
    " JOIN patient p ON p.patient_id = e.patient_id"
    " WHERE p.account_id = user_account.user_id AND e.status IN ('waiting', 'offered'))"
)

LIMIT_KINDS = """
DO $$ DECLARE known text[]; BEGIN
  SELECT KINDS INTO known
    FROM pg_constraint,
         regexp_matches(pg_get_constraintdef(oid), '''([a-z_]+)''', 'g') AS kind
   WHERE conname = 'notification_kind_check';
  ALTER TABLE notification DROP CONSTRAINT notification_kind_check;
  EXECUTE 'ALTER TABLE notification ADD CONSTRAINT notification_kind_check CHECK (kind IN ('
    || (SELECT string_agg(quote_literal(k), ', ') FROM unnest(known) AS k) || '))';
END $$
"""


def upgrade() -> None:
    app, worker = "carelane_app", "carelane_worker"
    op.execute(TABLES)
    for table in ("waitlist_entry", "waitlist_offer", "waitlist_due"):
        protect(table)
    change = "UPDATE (status, update_time)"
    allow("waitlist_entry", app, "SELECT", f"{OWN} OR {WANTED}")
    allow("waitlist_entry", app, f"INSERT, {change}", OWN)
    allow("waitlist_entry", worker, f"SELECT, {change}")
    allow("waitlist_offer", app, "SELECT", f"{OWN} OR {OURS}")
    allow("waitlist_offer", app, "UPDATE (status, appointment_id)", OWN)
    allow("waitlist_offer", worker, "SELECT, INSERT, UPDATE (status)")
    allow("waitlist_due", worker, "SELECT, INSERT, UPDATE (due_time), DELETE")
    for table, rows in (("patient", WAITING), ("user_account", ACCOUNTS)):
        policy = f"CREATE POLICY waiting_patients ON {table} FOR SELECT TO {app}"
        op.execute(f"{policy} USING ({rows})")
    limit_kinds("array_agg(kind[1]) || ARRAY['waitlist_offered', 'waitlist_lapsed']")


def limit_kinds(kinds: str) -> None:
    """Change the kinds of notifications that the table takes; `kind[1]` is one that it took."""
    op.execute(LIMIT_KINDS.replace("KINDS", kinds))


def downgrade() -> None:
    op.execute("DELETE FROM notification WHERE kind LIKE 'waitlist%'")
    limit_kinds("array_agg(kind[1]) FILTER (WHERE kind[1] NOT LIKE 'waitlist%')")
    for table in ("user_account", "patient"):
        op.execute(f"DROP POLICY waiting_patients ON {table}")
    op.execute("DROP TABLE waitlist_due, waitlist_offer, waitlist_entry")
