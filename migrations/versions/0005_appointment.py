"""Visits and their payments."""

from alembic import op

from migrations.ddl import allow, protect

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE appointment (
  appointment_id uuid PRIMARY KEY,
  clinic_id uuid NOT NULL,
  practice_id uuid NOT NULL,
  doctor_id uuid NOT NULL,
  patient_id uuid NOT NULL REFERENCES user_account,
  visit_type_id uuid NOT NULL,
  visit_type_name text NOT NULL,
  status text NOT NULL CHECK (status IN ('pending_payment', 'booked', 'checked_in',
    'in_consultation', 'completed', 'cancelled', 'no_show')),
  start_time timestamptz NOT NULL,
  end_time timestamptz NOT NULL,
  local_date date NOT NULL,
  price numeric(14, 3) NOT NULL,
  currency_code text NOT NULL,
  reason text NOT NULL DEFAULT '',
  confirm_time timestamptz,
  cancelled_by text CHECK (cancelled_by IN ('patient', 'doctor', 'clinic', 'platform')),
  cancel_reason text NOT NULL DEFAULT '',
  revision integer NOT NULL DEFAULT 1,
  create_time timestamptz NOT NULL DEFAULT app_now(),
  update_time timestamptz NOT NULL DEFAULT app_now(),
  CONSTRAINT appointment_parties_key UNIQUE (clinic_id, appointment_id, patient_id, doctor_id),
  FOREIGN KEY (clinic_id, practice_id, doctor_id)
    REFERENCES practice (clinic_id, practice_id, doctor_id),
  FOREIGN KEY (practice_id, visit_type_id) REFERENCES visit_type (practice_id, visit_type_id),
  CONSTRAINT appointment_order_check CHECK (start_time < end_time),
  CONSTRAINT appointment_cancelled_check
    CHECK ((status = 'cancelled') = (cancelled_by IS NOT NULL)),
  CONSTRAINT appointment_patient_overlap EXCLUDE USING gist
    (period_of(patient_id, start_time, end_time) WITH &&)
    WHERE (status IN ('pending_payment', 'booked', 'checked_in', 'in_consultation'))
);
CREATE INDEX appointment_patient ON appointment (patient_id, start_time, appointment_id);
CREATE INDEX appointment_doctor
  ON appointment (doctor_id, local_date, start_time, appointment_id);
CREATE INDEX appointment_clinic
  ON appointment (clinic_id, local_date, start_time, appointment_id);
CREATE INDEX appointment_practice ON appointment (practice_id, start_time);
CREATE INDEX appointment_date ON appointment (local_date, status);

CREATE TABLE payment_transaction (
  transaction_id uuid PRIMARY KEY,
  clinic_id uuid NOT NULL,
  appointment_id uuid NOT NULL,
  patient_id uuid NOT NULL,
  doctor_id uuid NOT NULL,
  amount numeric(14, 3) NOT NULL CHECK (amount >= 0),
  currency_code text NOT NULL,
  method text NOT NULL DEFAULT 'at_clinic' CHECK (method IN ('at_clinic')),
  status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'settled', 'voided')),
  settle_time timestamptz,
  create_time timestamptz NOT NULL DEFAULT app_now(),
  UNIQUE (clinic_id, appointment_id),
  CONSTRAINT payment_transaction_appointment_fkey
    FOREIGN KEY (clinic_id, appointment_id, patient_id, doctor_id)
    REFERENCES appointment (clinic_id, appointment_id, patient_id, doctor_id),
  CONSTRAINT payment_transaction_settled_check
    CHECK ((status = 'settled') = (settle_time IS NOT NULL))
);
CREATE INDEX payment_transaction_settled ON payment_transaction (settle_time)
  WHERE status = 'settled';
CREATE INDEX payment_transaction_appointment ON payment_transaction (appointment_id);
"""

# What administrators learn of visits, of which they see none: how many, and how much was paid.
FIGURES = """
CREATE FUNCTION count_visits(first date, last date)
RETURNS TABLE (local_date date, status text, visits bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT a.local_date, a.status, count(*) FROM appointment a
   WHERE a.local_date BETWEEN first AND last AND app_admin() IS NOT NULL
   GROUP BY a.local_date, a.status
$$;
CREATE FUNCTION sum_settled(since timestamptz, until timestamptz)
RETURNS TABLE (currency_code text, amount numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT p.currency_code, sum(p.amount) FROM payment_transaction p
   WHERE p.status = 'settled' AND p.settle_time >= since AND p.settle_time < until
     AND app_admin() IS NOT NULL
   GROUP BY p.currency_code
$$;
REVOKE EXECUTE ON FUNCTION count_visits, sum_settled FROM PUBLIC;
GRANT EXECUTE ON FUNCTION count_visits, sum_settled TO carelane_app;
"""

PATIENT = "patient_id = (SELECT app_user())"
CLINIC = "doctor_id = (SELECT app_user()) OR clinic_id = ANY ((SELECT app_clinics())::uuid[])"
# Through the appointment's own policy: the doctor's and the clinic's patients, and nobody else's.
PATIENT_OF_CALLER = (
    "(SELECT app_user()) IS NOT NULL AND EXISTS"
    " (SELECT FROM appointment a WHERE a.patient_id = user_account.user_id)"
)
# Through the same policy: taken time is freed by those whose visit it is.
OWN_VISIT = "EXISTS (SELECT FROM appointment a WHERE a.appointment_id = claim.claim_id)"


def upgrade() -> None:
    op.execute(TABLES)
    app = "carelane_app"
    op.execute(FIGURES)
    for table in ("appointment", "payment_transaction"):
        protect(table)
        allow(table, app, "SELECT", f"{PATIENT} OR {CLINIC}")
        allow(table, "carelane_worker", "SELECT")
    allow("appointment", app, "INSERT", f"{PATIENT} AND status IN ('pending_payment', 'booked')")
    allow("payment_transaction", app, "INSERT", f"{PATIENT} AND status = 'pending'")
    columns = "status, confirm_time, cancelled_by, cancel_reason, revision, update_time"
    allow_change("appointment", columns, f"{PATIENT} AND status = 'cancelled'")
    allow_change("payment_transaction", "status, settle_time", f"{PATIENT} AND status = 'voided'")
    allow("claim", app, "DELETE", f"expire_time <= app_now() OR ({OWN_VISIT})")
    op.execute(
        "CREATE POLICY patients_of_caller ON user_account FOR SELECT TO carelane_app"
        f" USING ({PATIENT_OF_CALLER})"
    )


def allow_change(table: str, columns: str, by_patient: str) -> None:
    """Let both sides change these columns; the patient only into what `by_patient` says."""
    seen, after = f"{PATIENT} OR {CLINIC}", f"({by_patient}) OR {CLINIC}"
    allow(table, "carelane_app", f"UPDATE ({columns})", seen, after)


def downgrade() -> None:
    op.execute("DROP POLICY carelane_app_delete ON claim")
    op.execute("REVOKE DELETE ON claim FROM carelane_app")
    op.execute("DROP POLICY patients_of_caller ON user_account")
    op.execute("DROP FUNCTION sum_settled, count_visits")
    op.execute("DROP TABLE payment_transaction, appointment")
