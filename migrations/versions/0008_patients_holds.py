"""Patients and their dependants, holds, payments in flight, moves, cancel policies."""

from alembic import op

from migrations.ddl import allow, protect

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE patient (
  patient_id uuid PRIMARY KEY DEFAULT new_id(),
  account_id uuid NOT NULL REFERENCES user_account ON DELETE CASCADE,
  full_name text,
  relation text CHECK (relation IN ('child', 'parent', 'partner', 'other')),
  birth_date date,
  end_time timestamptz,
  create_time timestamptz NOT NULL DEFAULT app_now(),
  CONSTRAINT patient_dependant_check CHECK ((patient_id = account_id) = (full_name IS NULL)
    AND (patient_id = account_id) = (relation IS NULL))
);
CREATE INDEX patient_account ON patient (account_id, create_time, patient_id);
INSERT INTO patient (patient_id, account_id) SELECT user_id, user_id FROM user_account;
ALTER TABLE appointment
  DROP CONSTRAINT appointment_patient_id_fkey,
  ADD FOREIGN KEY (patient_id) REFERENCES patient;

CREATE TABLE hold (
  hold_id uuid PRIMARY KEY REFERENCES claim ON DELETE CASCADE,
  holder_id uuid NOT NULL REFERENCES user_account,
  clinic_id uuid NOT NULL,
  practice_id uuid NOT NULL,
  doctor_id uuid NOT NULL,
  visit_type_id uuid NOT NULL,
  start_time timestamptz NOT NULL,
  end_time timestamptz NOT NULL,
  expire_time timestamptz NOT NULL,
  create_time timestamptz NOT NULL DEFAULT app_now(),
  FOREIGN KEY (clinic_id, practice_id) REFERENCES practice (clinic_id, practice_id),
  FOREIGN KEY (practice_id, visit_type_id) REFERENCES visit_type (practice_id, visit_type_id),
  CONSTRAINT hold_order_check CHECK (start_time < end_time)
);
CREATE INDEX hold_holder ON hold (holder_id, expire_time);

CREATE TABLE cancel_policy (
  practice_id uuid PRIMARY KEY,
  clinic_id uuid NOT NULL,
  notice_minutes integer NOT NULL,
  update_time timestamptz NOT NULL DEFAULT app_now(),
  FOREIGN KEY (clinic_id, practice_id) REFERENCES practice (clinic_id, practice_id),
  CONSTRAINT cancel_policy_notice_check CHECK (notice_minutes >= 0)
);

ALTER TABLE appointment
  ADD COLUMN previous_start_time timestamptz,
  ADD COLUMN expire_time timestamptz,
  ADD COLUMN extended boolean NOT NULL DEFAULT false,
  ADD COLUMN session_id uuid,
  ADD COLUMN follows_id uuid,
  ADD COLUMN series_id uuid,
  ADD CONSTRAINT appointment_pending_check
    CHECK ((status = 'pending_payment') = (expire_time IS NOT NULL));
CREATE INDEX appointment_pending ON appointment (expire_time)
  WHERE status = 'pending_payment';
CREATE INDEX appointment_session ON appointment (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX appointment_follows ON appointment (follows_id) WHERE follows_id IS NOT NULL;
ALTER TABLE claim DROP CONSTRAINT claim_kind_check,
  ADD CONSTRAINT claim_kind_check CHECK (kind IN ('appointment', 'hold', 'session'));
"""
# As the owner: whoever has an account is a patient, and policies ask whose patients there are.
FUNCTIONS = """
CREATE FUNCTION make_patient() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  INSERT INTO patient (patient_id, account_id) VALUES (NEW.user_id, NEW.user_id);
  RETURN NULL;
END $$;
REVOKE EXECUTE ON FUNCTION make_patient() FROM PUBLIC;
CREATE TRIGGER make_patient AFTER INSERT ON user_account
  FOR EACH ROW EXECUTE FUNCTION make_patient();
-- The patients whom the caller sees and books for: themselves and their dependants.
CREATE FUNCTION app_patients() RETURNS uuid[] LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT coalesce(array_agg(patient_id), '{}') FROM patient WHERE account_id = app_user()
$$;
-- How many come to a session of a group, whoever asks: a count and nothing of who they are.
CREATE FUNCTION seats_of(session uuid) RETURNS bigint LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT count(*) FROM appointment WHERE session_id = session AND status <> 'cancelled'
$$;
REVOKE EXECUTE ON FUNCTION app_patients, seats_of FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app_patients TO carelane_app;
GRANT EXECUTE ON FUNCTION seats_of TO carelane_app, carelane_worker;
"""
KINDS = (
    "'appointment_booked', 'appointment_confirmed', 'appointment_cancelled',"
    " 'appointment_completed', 'appointment_no_show', 'doctor_verified',"
    " 'doctor_rejected', 'clinic_joined'"
)

EDITS = "practice_id IN (SELECT p.practice_id FROM practice p WHERE p.doctor_id = (SELECT app_user()) OR p.clinic_id = ANY ((SELECT app_clinics())::uuid[]))"  # noqa: E501
ALONE = "patient_id = (SELECT app_user())"
OWN_PATIENTS = "patient_id = ANY ((SELECT app_patients())::uuid[])"
CLINIC = (
    "doctor_id = (SELECT app_user()) OR clinic_id = ANY ((SELECT app_clinics())::uuid[])"
    " OR (SELECT app_admin()) IS NOT NULL"
)
VISITS = ("appointment", "payment_transaction")
# Through the appointment's own policy: the doctor's and the clinic's patients, and nobody else's.
COMES = "EXISTS (SELECT FROM appointment a WHERE a.patient_id = patient.patient_id)"
ACCOUNT_ALONE = (
    "(SELECT app_user()) IS NOT NULL AND EXISTS"
    " (SELECT FROM appointment a WHERE a.patient_id = user_account.user_id)"
)
ACCOUNTS = (
    "(SELECT app_user()) IS NOT NULL AND EXISTS (SELECT FROM appointment a"
    " JOIN patient p ON p.patient_id = a.patient_id WHERE p.account_id = user_account.user_id)"
)
OWN_HOLD = "holder_id = (SELECT app_user())"
# What decides whether a time is free, for the worker that offers one.
RULES = ("hours", "weekly_rule", "date_override")


def upgrade() -> None:
    app, worker = "carelane_app", "carelane_worker"
    op.execute(TABLES)
    op.execute(FUNCTIONS)
    protect("patient")
    own = "account_id = (SELECT app_user())"
    allow("patient", app, "SELECT", f"{own} OR ((SELECT app_user()) IS NOT NULL AND {COMES})")
    allow("patient", app, "INSERT", f"{own} AND patient_id <> account_id")
    op.execute(f"GRANT UPDATE (end_time) ON patient TO {app}")
    op.execute(f"CREATE POLICY {app}_update ON patient FOR UPDATE TO {app} USING ({own})")
    allow("patient", worker, "SELECT")
    see(OWN_PATIENTS, ACCOUNTS)
    protect("hold")
    allow("hold", app, "SELECT, INSERT, UPDATE, DELETE", OWN_HOLD)
    allow("hold", worker, "SELECT, INSERT, UPDATE, DELETE")
    protect("cancel_policy")
    allow("cancel_policy", app, "SELECT")
    allow("cancel_policy", app, "INSERT, UPDATE", EDITS)
    allow("claim", worker, "INSERT")
    allow("appointment", worker, "UPDATE")
    allow("payment_transaction", worker, "UPDATE")
    limit_kinds(f"{KINDS}, 'appointment_moved'")
    for table in RULES:
        allow(table, worker, "SELECT")


def see(patients: str, accounts: str) -> None:
    """Let callers see and change the visits of `patients`, and whom they treat as `accounts`."""
    for table in VISITS:
        rows = f"{patients} OR {CLINIC}"
        alter = "ALTER POLICY carelane_app"
        op.execute(f"{alter}_select ON {table} USING ({rows})")
        op.execute(f"{alter}_update ON {table} USING ({rows}) WITH CHECK ({rows})")
        op.execute(f"{alter}_insert ON {table} WITH CHECK ({patients})")
    op.execute(f"ALTER POLICY patients_of_caller ON user_account USING ({accounts})")


def limit_kinds(kinds: str) -> None:
    op.execute("ALTER TABLE notification DROP CONSTRAINT notification_kind_check")
    op.execute(
        f"ALTER TABLE notification ADD CONSTRAINT notification_kind_check CHECK (kind IN ({kinds}))"
    )


def downgrade() -> None:
    worker = "carelane_worker"
    limit_kinds(KINDS)
    see(ALONE, ACCOUNT_ALONE)
    op.execute("DROP TRIGGER make_patient ON user_account")
    op.execute("DROP FUNCTION make_patient, app_patients, seats_of")
    for table in RULES:
        op.execute(f"DROP POLICY {worker}_select ON {table}")
        op.execute(f"REVOKE SELECT ON {table} FROM {worker}")  # noqa: S608
    op.execute(f"DROP POLICY {worker}_insert ON claim")
    op.execute(f"REVOKE INSERT ON claim FROM {worker}")
    for table in ("appointment", "payment_transaction"):
        op.execute(f"DROP POLICY {worker}_update ON {table}")
        op.execute(f"REVOKE UPDATE ON {table} FROM {worker}")
    op.execute("ALTER TABLE appointment DROP COLUMN previous_start_time, DROP COLUMN extended")
    op.execute("ALTER TABLE appointment DROP COLUMN expire_time, DROP COLUMN session_id")
    op.execute("ALTER TABLE appointment DROP COLUMN follows_id, DROP COLUMN series_id")
    op.execute("ALTER TABLE claim DROP CONSTRAINT claim_kind_check")
    op.execute(
        "ALTER TABLE claim ADD CONSTRAINT claim_kind_check CHECK (kind IN ('appointment', 'hold'))"
    )
    op.execute("ALTER TABLE appointment DROP CONSTRAINT appointment_patient_id_fkey")
    op.execute("ALTER TABLE appointment ADD FOREIGN KEY (patient_id) REFERENCES user_account")
    op.execute("DROP TABLE hold, cancel_policy, patient")
