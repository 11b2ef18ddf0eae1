"""The queue at the clinic: tokens of the day, consultations, and what a practice chose."""

from alembic import op

from migrations.ddl import allow, protect

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE queue_day (
  queue_day_id uuid PRIMARY KEY DEFAULT new_id(),
  clinic_id uuid NOT NULL,
  practice_id uuid NOT NULL,
  doctor_id uuid NOT NULL,
  local_date date NOT NULL,
  last_token integer NOT NULL DEFAULT 0,
  late_minutes integer NOT NULL DEFAULT 0,
  late_time timestamptz,
  UNIQUE (practice_id, local_date),
  UNIQUE (clinic_id, doctor_id, queue_day_id),
  FOREIGN KEY (clinic_id, practice_id, doctor_id)
    REFERENCES practice (clinic_id, practice_id, doctor_id),
  CONSTRAINT queue_day_token_check CHECK (last_token >= 0),
  CONSTRAINT queue_day_late_check CHECK (late_minutes >= 0)
);

CREATE TABLE queue_ticket (
  appointment_id uuid PRIMARY KEY,
  clinic_id uuid NOT NULL,
  patient_id uuid NOT NULL,
  doctor_id uuid NOT NULL,
  queue_day_id uuid NOT NULL,
  token integer NOT NULL,
  booked_minutes integer NOT NULL,
  check_in_time timestamptz NOT NULL,
  consultation_start_time timestamptz,
  consultation_end_time timestamptz,
  UNIQUE (queue_day_id, token),
  FOREIGN KEY (clinic_id, doctor_id, queue_day_id)
    REFERENCES queue_day (clinic_id, doctor_id, queue_day_id),
  CONSTRAINT queue_ticket_appointment_fkey
    FOREIGN KEY (clinic_id, appointment_id, patient_id, doctor_id)
    REFERENCES appointment (clinic_id, appointment_id, patient_id, doctor_id),
  CONSTRAINT queue_ticket_order_check CHECK (consultation_start_time <= consultation_end_time)
);

CREATE TABLE queue_setting (
  practice_id uuid PRIMARY KEY,
  clinic_id uuid NOT NULL,
  doctor_id uuid NOT NULL,
  no_show_grace_minutes integer NOT NULL,
  FOREIGN KEY (clinic_id, practice_id, doctor_id)
    REFERENCES practice (clinic_id, practice_id, doctor_id),
  CONSTRAINT queue_setting_grace_check CHECK (no_show_grace_minutes BETWEEN 0 AND 480)
);
"""

KINDS = (
    "'appointment_booked', 'appointment_confirmed', 'appointment_cancelled',"
    " 'appointment_completed', 'appointment_no_show', 'doctor_verified', 'doctor_rejected',"
    " 'clinic_joined', 'appointment_moved'"
)
OURS = "doctor_id = (SELECT app_user()) OR clinic_id = ANY ((SELECT app_clinics())::uuid[])"

CHANGED = {
    "queue_day": "last_token, late_minutes, late_time",
    "queue_ticket": "consultation_start_time",
    "queue_setting": "no_show_grace_minutes",
}


def upgrade() -> None:
    op.execute(TABLES)
    for table, columns in CHANGED.items():
        protect(table)
        allow(table, "carelane_app", f"SELECT, INSERT, UPDATE ({columns})", OURS)
        allow(table, "carelane_worker", "SELECT")
    # The end of a consultation is noted when the completed visit is told.
    allow("queue_ticket", "carelane_worker", "UPDATE (consultation_end_time)")
    limit_kinds(f"{KINDS}, 'queue_running_late'")


def limit_kinds(kinds: str) -> None:
    op.execute("ALTER TABLE notification DROP CONSTRAINT notification_kind_check")
    op.execute(
        f"ALTER TABLE notification ADD CONSTRAINT notification_kind_check CHECK (kind IN ({kinds}))"
    )


def downgrade() -> None:
    op.execute("DELETE FROM notification WHERE kind = 'queue_running_late'")
    limit_kinds(KINDS)
    op.execute("DROP TABLE queue_setting, queue_ticket, queue_day")
