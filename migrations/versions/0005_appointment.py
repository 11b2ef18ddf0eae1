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
  UNIQUE (clinic_id, appointment_id),
  FOREIGN KEY (clinic_id, practice_id) REFERENCES practice (clinic_id, practice_id),
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
  FOREIGN KEY (clinic_id, appointment_id) REFERENCES appointment (clinic_id, appointment_id),
  CONSTRAINT payment_transaction_settled_check
    CHECK ((status = 'settled') = (settle_time IS NOT NULL))
);
CREATE INDEX payment_transaction_settled ON payment_transaction (settle_time)
  WHERE status = 'settled';
CREATE INDEX payment_transaction_appointment ON payment_transaction (appointment_id);
"""

PATIENT = "patient_id = (SELECT app_user())"
CLINIC = (
    "doctor_id = (SELECT app_user()) OR clinic_id = ANY ((SELECT app_clinics())::uuid[])"
    " OR (SELECT app_admin()) IS NOT NULL"
)
# Through the appointment's own policy: the doctor's and the clinic's patients, and nobody else's.
PATIENT_OF_CALLER = (
    "(SELECT app_user()) IS NOT NULL AND EXISTS"
    " (SELECT FROM appointment a WHERE a.patient_id = user_account.user_id)"
)


def upgrade() -> None:
    op.execute(TABLES)
    app = "carelane_app"
    for table in ("appointment", "payment_transaction"):
        protect(table)
        allow(table, app, "SELECT, UPDATE", f"{PATIENT} OR {CLINIC}")
        allow(table, app, "INSERT", PATIENT)
        allow(table, "carelane_worker", "SELECT")
    op.execute(
        "CREATE POLICY patients_of_caller ON user_account FOR SELECT TO carelane_app"
        f" USING ({PATIENT_OF_CALLER})"
    )


def downgrade() -> None:
    op.execute("DROP POLICY patients_of_caller ON user_account")
    op.execute("DROP TABLE payment_transaction, appointment")
