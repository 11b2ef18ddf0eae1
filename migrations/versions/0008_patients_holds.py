"""Holds, payments in flight, moves, and how late patients may cancel."""

from alembic import op

from migrations.ddl import allow, protect

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TABLES = """
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
  ADD CONSTRAINT appointment_pending_check
    CHECK ((status = 'pending_payment') = (expire_time IS NOT NULL));
CREATE INDEX appointment_pending ON appointment (expire_time)
  WHERE status = 'pending_payment';
"""
KINDS = (
    "'appointment_booked', 'appointment_confirmed', 'appointment_cancelled',"
    " 'appointment_completed', 'appointment_no_show', 'doctor_verified',"
    " 'doctor_rejected', 'clinic_joined'"
)

EDITS = "practice_id IN (SELECT p.practice_id FROM practice p WHERE p.doctor_id = (SELECT app_user()) OR p.clinic_id = ANY ((SELECT app_clinics())::uuid[]))"  # noqa: E501
OWN_HOLD = "holder_id = (SELECT app_user())"
# What decides whether a time is free, for the worker that offers one.
RULES = ("hours", "weekly_rule", "date_override")


def upgrade() -> None:
    app, worker = "carelane_app", "carelane_worker"
    op.execute(TABLES)
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


def limit_kinds(kinds: str) -> None:
    op.execute("ALTER TABLE notification DROP CONSTRAINT notification_kind_check")
    op.execute(
        f"ALTER TABLE notification ADD CONSTRAINT notification_kind_check CHECK (kind IN ({kinds}))"
    )


def downgrade() -> None:
    worker = "carelane_worker"
    limit_kinds(KINDS)
    for table in RULES:
        op.execute(f"DROP POLICY {worker}_select ON {table}")
        op.execute(f"REVOKE SELECT ON {table} FROM {worker}")  # noqa: S608
    op.execute(f"DROP POLICY {worker}_insert ON claim")
    op.execute(f"REVOKE INSERT ON claim FROM {worker}")
    for table in ("appointment", "payment_transaction"):
        op.execute(f"DROP POLICY {worker}_update ON {table}")
        op.execute(f"REVOKE UPDATE ON {table} FROM {worker}")
    op.execute("ALTER TABLE appointment DROP COLUMN previous_start_time, DROP COLUMN extended")
    op.execute("ALTER TABLE appointment DROP COLUMN expire_time")
    op.execute("DROP TABLE hold, cancel_policy")
