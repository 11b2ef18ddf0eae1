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

ALTER TABLE claim
  DROP CONSTRAINT claim_kind_check,
  ADD CONSTRAINT claim_kind_check CHECK (kind IN ('appointment', 'hold', 'session')),
  ADD UNIQUE (doctor_id, claim_id);
CREATE TABLE hold (
  hold_id uuid PRIMARY KEY,
  claim_id uuid NOT NULL,
  holder_id uuid NOT NULL REFERENCES user_account,
  clinic_id uuid NOT NULL,
  practice_id uuid NOT NULL,
  doctor_id uuid NOT NULL,
  visit_type_id uuid NOT NULL,
  start_time timestamptz NOT NULL,
  end_time timestamptz NOT NULL,
  expire_time timestamptz NOT NULL,
  create_time timestamptz NOT NULL DEFAULT app_now(),
  FOREIGN KEY (doctor_id, claim_id) REFERENCES claim (doctor_id, claim_id) ON DELETE CASCADE,
  FOREIGN KEY (clinic_id, practice_id, doctor_id)
    REFERENCES practice (clinic_id, practice_id, doctor_id),
  FOREIGN KEY (practice_id, visit_type_id) REFERENCES visit_type (practice_id, visit_type_id),
  CONSTRAINT hold_order_check CHECK (start_time < end_time)
);
CREATE INDEX hold_holder ON hold (holder_id, expire_time);
CREATE INDEX hold_claim ON hold (claim_id);

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
-- How many come to a session of a group or hold a seat in it, whoever asks: a count and nothing of
-- who they are.
CREATE FUNCTION seats_of(session uuid) RETURNS bigint LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT (SELECT count(*) FROM appointment WHERE session_id = session AND status <> 'cancelled')
       + (SELECT count(*) FROM hold WHERE claim_id = session AND expire_time > app_now())
$$;
-- A session lasts as long as its seats: without end while somebody is booked, else until the last
-- hold of a seat expires. The argument is the column that names the session.
CREATE FUNCTION keep_session() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  touched uuid[] := ARRAY[to_jsonb(OLD) ->> TG_ARGV[0], to_jsonb(NEW) ->> TG_ARGV[0]]::uuid[];
BEGIN
  WITH session AS (
    SELECT c.claim_id,
           (SELECT max(h.expire_time) FROM hold h WHERE h.claim_id = c.claim_id) AS held,
           EXISTS (SELECT FROM appointment a
                    WHERE a.session_id = c.claim_id AND a.status <> 'cancelled') AS booked
      FROM claim c WHERE c.claim_id = ANY (touched) AND c.kind = 'session'
  ), ended AS (
    DELETE FROM claim c USING session s
     WHERE c.claim_id = s.claim_id AND NOT s.booked AND s.held IS NULL
  )
  UPDATE claim c SET expire_time = CASE WHEN NOT s.booked THEN s.held END
    FROM session s WHERE c.claim_id = s.claim_id AND (s.booked OR s.held IS NOT NULL)
     AND c.expire_time IS DISTINCT FROM CASE WHEN NOT s.booked THEN s.held END;
  RETURN NULL;
END $$;
CREATE TRIGGER join_session AFTER INSERT ON appointment FOR EACH ROW
  WHEN (NEW.session_id IS NOT NULL) EXECUTE FUNCTION keep_session('session_id');
CREATE TRIGGER change_session AFTER UPDATE OF status, session_id ON appointment FOR EACH ROW
  WHEN (coalesce(OLD.session_id, NEW.session_id) IS NOT NULL)
  EXECUTE FUNCTION keep_session('session_id');
CREATE TRIGGER join_session AFTER INSERT ON hold FOR EACH ROW
  WHEN (NEW.claim_id <> NEW.hold_id) EXECUTE FUNCTION keep_session('claim_id');
CREATE TRIGGER leave_session AFTER DELETE ON hold FOR EACH ROW
  WHEN (OLD.claim_id <> OLD.hold_id) EXECUTE FUNCTION keep_session('claim_id');
-- A visit that was not paid in time is called off by whoever wants its patient's time, also where
-- it is hidden from them, at another clinic: by the patient, and those to whom they come. Of it is
-- told what its record needs.
CREATE FUNCTION call_off_lapsed(patient uuid, since timestamptz, until timestamptz)
RETURNS jsonb LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  visits jsonb;
BEGIN
  WITH lapsed AS (
    UPDATE appointment
       SET status = 'cancelled', cancelled_by = 'platform', expire_time = NULL,
           revision = revision + 1, update_time = app_now()
     WHERE patient_id = patient AND start_time < until AND end_time > since
       AND status = 'pending_payment' AND expire_time <= app_now()
       AND (patient = ANY (app_patients()) OR EXISTS (
         SELECT FROM appointment own WHERE own.patient_id = patient
            AND (own.doctor_id = app_user() OR own.clinic_id = ANY (app_clinics()))))
    RETURNING appointment_id, clinic_id, practice_id, doctor_id, patient_id, visit_type_id, status,
              cancelled_by, start_time, end_time, confirm_time
  ), voided AS (
    UPDATE payment_transaction SET status = 'voided'
     WHERE appointment_id IN (SELECT appointment_id FROM lapsed)
  )
  SELECT jsonb_agg(to_jsonb(lapsed)) INTO visits FROM lapsed;
  RETURN visits;
END $$;
REVOKE EXECUTE ON FUNCTION app_patients, seats_of, keep_session, call_off_lapsed FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app_patients, call_off_lapsed TO carelane_app;
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
CLINIC = "doctor_id = (SELECT app_user()) OR clinic_id = ANY ((SELECT app_clinics())::uuid[])"
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
CALLED_OFF = "status = 'cancelled'"
# Whoever moves a visit wants a time that the clinic has not confirmed.
CALLED_OFF_OR_MOVED = f"({CALLED_OFF} OR status = 'booked' AND confirm_time IS NULL)"
OWN_VISIT = "EXISTS (SELECT FROM appointment a WHERE a.appointment_id = claim.claim_id)"
# Taken time is freed by those whose visit or hold it is; that of a group by who leaves it last.
LAST_OF_GROUP = (
    "EXISTS (SELECT FROM appointment a WHERE a.session_id = claim.claim_id)"
    " AND seats_of(claim.claim_id) <= 1"
)
OWN_HELD = (
    "EXISTS (SELECT FROM hold h WHERE h.claim_id = claim.claim_id)"
    " AND seats_of(claim.claim_id) <= 1"
)
EXPIRED = "expire_time <= app_now()"
MOVED = "start_time, end_time, local_date, session_id, previous_start_time, expire_time"
OWN_HOLD = "holder_id = (SELECT app_user())"
# What decides whether a time is free, for the worker that offers one.
RULES = ("hours", "weekly_rule", "date_override")
# What the worker may do besides, for the way back.
WORKERS = {
    "calendar": ("select", "update"),
    "claim": ("select", "insert", "update", "delete"),
    "appointment": ("update",),
    "payment_transaction": ("update",),
}


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
    protect("hold")
    for role, rows in ((app, OWN_HOLD), (worker, "true")):
        allow("hold", role, "SELECT, INSERT, DELETE", rows)
    see(OWN_PATIENTS, ACCOUNTS, CALLED_OFF_OR_MOVED)
    op.execute(f"GRANT UPDATE ({MOVED}) ON appointment TO {app}")
    free(f"{EXPIRED} OR {OWN_VISIT} OR {LAST_OF_GROUP} OR {OWN_HELD}")
    protect("cancel_policy")
    allow("cancel_policy", app, "SELECT")
    allow("cancel_policy", app, "INSERT, UPDATE", EDITS)
    work_in_background()
    limit_kinds(f"{KINDS}, 'appointment_moved'")
    for table in RULES:
        allow(table, worker, "SELECT")


def see(patients: str, accounts: str, by_patient: str) -> None:
    """Let callers see the visits of `patients`, make them `by_patient`, and see `accounts`."""
    alter = "ALTER POLICY carelane_app"
    for table, begun, done in (
        ("appointment", "status IN ('pending_payment', 'booked')", by_patient),
        ("payment_transaction", "status = 'pending'", "status = 'voided'"),
    ):
        rows, after = f"{patients} OR {CLINIC}", f"{patients} AND {done} OR {CLINIC}"
        op.execute(f"{alter}_select ON {table} USING ({rows})")
        op.execute(f"{alter}_update ON {table} USING ({rows}) WITH CHECK ({after})")
        op.execute(f"{alter}_insert ON {table} WITH CHECK ({patients} AND {begun})")
    op.execute(f"ALTER POLICY patients_of_caller ON user_account USING ({accounts})")


def free(rows: str) -> None:
    """Let callers free the taken time for which `rows` holds."""
    op.execute(f"ALTER POLICY carelane_app_delete ON claim USING ({rows})")


def work_in_background() -> None:
    """Let the worker offer, keep, settle and end what expires, and nothing that is booked."""
    worker, expires = "carelane_worker", "expire_time IS NOT NULL"
    allow("calendar", worker, "SELECT, UPDATE (change_count)")
    allow("claim", worker, "SELECT, INSERT")
    allow("claim", worker, "UPDATE (expire_time), DELETE", expires)
    changed = "status, cancelled_by, cancel_reason, confirm_time, expire_time, extended"
    allow("appointment", worker, f"UPDATE ({changed}, revision, update_time)")
    allow("payment_transaction", worker, "UPDATE (status, settle_time)")


def limit_kinds(kinds: str) -> None:
    op.execute("ALTER TABLE notification DROP CONSTRAINT notification_kind_check")
    op.execute(
        f"ALTER TABLE notification ADD CONSTRAINT notification_kind_check CHECK (kind IN ({kinds}))"
    )


def downgrade() -> None:
    worker = "carelane_worker"
    limit_kinds(KINDS)
    see(ALONE, ACCOUNT_ALONE, CALLED_OFF)
    free(f"{EXPIRED} OR ({OWN_VISIT})")
    op.execute("REVOKE UPDATE (start_time, end_time, local_date) ON appointment FROM carelane_app")
    op.execute("DROP TRIGGER make_patient ON user_account")
    op.execute("DROP TRIGGER join_session ON appointment")
    op.execute("DROP TRIGGER change_session ON appointment")
    op.execute("DROP FUNCTION make_patient, app_patients, seats_of, call_off_lapsed")
    for table in RULES:
        op.execute(f"DROP POLICY {worker}_select ON {table}")
        op.execute(f"REVOKE SELECT ON {table} FROM {worker}")  # noqa: S608
    for table, commands in WORKERS.items():
        for command in commands:
            op.execute(f"DROP POLICY {worker}_{command} ON {table}")
        if table in ("calendar", "claim"):
            op.execute(f"REVOKE ALL ON {table} FROM {worker}")
        else:
            op.execute(f"REVOKE UPDATE ON {table} FROM {worker}")
    op.execute("ALTER TABLE appointment DROP COLUMN previous_start_time, DROP COLUMN extended")
    op.execute("ALTER TABLE appointment DROP COLUMN expire_time, DROP COLUMN session_id")
    op.execute("ALTER TABLE appointment DROP COLUMN follows_id, DROP COLUMN series_id")
    op.execute("DROP TABLE hold, cancel_policy")
    op.execute("DROP FUNCTION keep_session")
    op.execute("ALTER TABLE claim DROP CONSTRAINT claim_doctor_id_claim_id_key")
    op.execute("ALTER TABLE claim DROP CONSTRAINT claim_kind_check")
    op.execute(
        "ALTER TABLE claim ADD CONSTRAINT claim_kind_check CHECK (kind IN ('appointment', 'hold'))"
    )
    op.execute("ALTER TABLE appointment DROP CONSTRAINT appointment_patient_id_fkey")
    op.execute("ALTER TABLE appointment ADD FOREIGN KEY (patient_id) REFERENCES user_account")
    op.execute("DROP TABLE patient")
