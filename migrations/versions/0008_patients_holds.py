"""Holds."""

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
"""

OWN_HOLD = "holder_id = (SELECT app_user())"
# What decides whether a time is free, for the worker that offers one.
RULES = ("hours", "weekly_rule", "date_override")


def upgrade() -> None:
    app, worker = "carelane_app", "carelane_worker"
    op.execute(TABLES)
    protect("hold")
    allow("hold", app, "SELECT, INSERT, UPDATE, DELETE", OWN_HOLD)
    allow("hold", worker, "SELECT, INSERT, UPDATE, DELETE")
    allow("claim", worker, "INSERT")
    for table in RULES:
        allow(table, worker, "SELECT")


def downgrade() -> None:
    worker = "carelane_worker"
    for table in RULES:
        op.execute(f"DROP POLICY {worker}_select ON {table}")
        op.execute(f"REVOKE SELECT ON {table} FROM {worker}")  # noqa: S608
    op.execute(f"DROP POLICY {worker}_insert ON claim")
    op.execute(f"REVOKE INSERT ON claim FROM {worker}")
    op.execute("DROP TABLE hold")
