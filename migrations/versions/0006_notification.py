"""What people are told."""

from alembic import op

from migrations.ddl import allow, protect

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# One event tells a person one thing, however often it is delivered.
TABLES = """
CREATE TABLE notification (
  notification_id uuid PRIMARY KEY DEFAULT new_id(),
  user_id uuid NOT NULL REFERENCES user_account ON DELETE CASCADE,
  kind text NOT NULL CONSTRAINT notification_kind_check CHECK (kind IN (
    'appointment_booked', 'appointment_confirmed', 'appointment_cancelled',
    'appointment_completed', 'appointment_no_show', 'doctor_verified', 'doctor_rejected',
    'clinic_joined')),
  title text NOT NULL,
  body text NOT NULL,
  subject_id uuid NOT NULL,
  outbox_id uuid NOT NULL,
  create_time timestamptz NOT NULL,
  read_time timestamptz,
  UNIQUE (outbox_id, user_id)
);
CREATE INDEX notification_user ON notification (user_id, create_time, notification_id);
CREATE INDEX notification_unread ON notification (user_id, create_time, notification_id)
  WHERE read_time IS NULL;
"""

OWN = "user_id = (SELECT app_user())"


def upgrade() -> None:
    op.execute(TABLES)
    protect("notification")
    allow("notification", "carelane_app", "SELECT", OWN)
    # A person marks as read, and changes nothing else.
    op.execute("GRANT UPDATE (read_time) ON notification TO carelane_app")
    op.execute(
        "CREATE POLICY carelane_app_update ON notification FOR UPDATE TO carelane_app"
        f" USING ({OWN}) WITH CHECK ({OWN})"
    )
    allow("notification", "carelane_worker", "INSERT")


def downgrade() -> None:
    op.execute("DROP TABLE notification")
