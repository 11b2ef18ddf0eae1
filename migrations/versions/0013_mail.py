"""Mail that waits to be sent, and what became of it."""

from alembic import op

from migrations.ddl import allow, protect

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# Who gets it, what kind of letter it is and what it is about; the text is made when it is sent. One
# event sends one letter of a kind, however often it is delivered. What has ended forgets
# the address.
TABLES = """
CREATE TABLE mail (
  mail_id uuid PRIMARY KEY DEFAULT new_id(),
  outbox_id uuid NOT NULL,
  kind text NOT NULL,
  channel text NOT NULL CONSTRAINT mail_channel_check CHECK (channel IN ('email', 'sms')),
  user_id uuid REFERENCES user_account ON DELETE CASCADE,
  address text,
  subject_id uuid NOT NULL,
  create_time timestamptz NOT NULL DEFAULT app_now(),
  due_time timestamptz NOT NULL DEFAULT app_now(),
  expire_time timestamptz NOT NULL,
  attempts integer NOT NULL DEFAULT 0,
  last_error text,
  end_time timestamptz,
  outcome text CONSTRAINT mail_outcome_check
    CHECK (outcome IN ('sent', 'refused', 'expired', 'dropped')),
  CONSTRAINT mail_ended_check CHECK ((end_time IS NULL) = (outcome IS NULL)),
  CONSTRAINT mail_recipient_check
    CHECK (end_time IS NOT NULL OR user_id IS NOT NULL OR address IS NOT NULL),
  UNIQUE (outbox_id, kind)
);
CREATE INDEX mail_due ON mail (due_time, mail_id) WHERE end_time IS NULL;
CREATE INDEX mail_end ON mail (end_time) WHERE end_time IS NOT NULL;
CREATE INDEX mail_user ON mail (user_id);
"""


def upgrade() -> None:
    op.execute(TABLES)
    protect("mail")
    allow("mail", "carelane_worker", "SELECT, INSERT, UPDATE, DELETE")


def downgrade() -> None:
    op.execute("DROP TABLE mail")
