"""Opening hours, calendars and taken time."""

from alembic import op

from migrations.ddl import allow, protect

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE hours (
  practice_id uuid PRIMARY KEY,
  clinic_id uuid NOT NULL,
  revision integer NOT NULL DEFAULT 1,
  update_time timestamptz NOT NULL DEFAULT app_now(),
  UNIQUE (clinic_id, practice_id),
  FOREIGN KEY (clinic_id, practice_id) REFERENCES practice (clinic_id, practice_id)
);
CREATE TABLE weekly_rule (
  rule_id uuid PRIMARY KEY DEFAULT new_id(),
  clinic_id uuid NOT NULL,
  practice_id uuid NOT NULL,
  weekday integer NOT NULL CHECK (weekday BETWEEN 1 AND 7),
  start_minute integer NOT NULL,
  end_minute integer NOT NULL,
  valid_from date,
  valid_until date,
  FOREIGN KEY (clinic_id, practice_id) REFERENCES hours (clinic_id, practice_id),
  CONSTRAINT weekly_rule_minutes_check
    CHECK (start_minute BETWEEN 0 AND 1439 AND end_minute BETWEEN 0 AND 1439),
  CONSTRAINT weekly_rule_validity_check CHECK (valid_until >= valid_from)
);
CREATE INDEX weekly_rule_practice ON weekly_rule (practice_id);

CREATE TABLE date_override (
  practice_id uuid NOT NULL,
  day date NOT NULL,
  clinic_id uuid NOT NULL,
  starts integer[] NOT NULL,
  ends integer[] NOT NULL,
  PRIMARY KEY (practice_id, day),
  FOREIGN KEY (clinic_id, practice_id) REFERENCES hours (clinic_id, practice_id),
  CONSTRAINT date_override_windows_check CHECK (cardinality(starts) = cardinality(ends))
);

CREATE TABLE calendar (
  doctor_id uuid PRIMARY KEY REFERENCES doctor_profile,
  change_count bigint NOT NULL DEFAULT 0
);
CREATE TABLE claim (
  claim_id uuid PRIMARY KEY,
  doctor_id uuid NOT NULL REFERENCES calendar,
  start_time timestamptz NOT NULL,
  end_time timestamptz NOT NULL,
  kind text NOT NULL CHECK (kind IN ('appointment', 'hold')),
  expire_time timestamptz,
  CONSTRAINT claim_order_check CHECK (start_time < end_time),
  CONSTRAINT claim_overlap EXCLUDE USING gist
    (period_of(doctor_id, start_time, end_time) WITH &&)
);
CREATE INDEX claim_doctor ON claim (doctor_id, start_time, end_time);
"""

EDITS = "practice_id IN (SELECT p.practice_id FROM practice p WHERE p.doctor_id = (SELECT app_user()) OR p.clinic_id = ANY ((SELECT app_clinics())::uuid[]))"  # noqa: E501

SOMEBODY = "(SELECT app_user()) IS NOT NULL"


def upgrade() -> None:
    op.execute(TABLES)
    app = "carelane_app"
    for table in ("hours", "weekly_rule", "date_override"):
        protect(table)
        allow(table, app, "SELECT")
    allow("hours", app, "INSERT, UPDATE (revision, update_time)", EDITS)
    for table in ("weekly_rule", "date_override"):
        allow(table, app, "INSERT, DELETE", EDITS)
    for table in ("calendar", "claim"):
        protect(table)
        allow(table, app, "SELECT")
    allow("calendar", app, "INSERT", "doctor_id = (SELECT app_user())")
    # To lock a row, as who books does, is allowed to those who may update it.
    allow("calendar", app, "UPDATE (change_count)", SOMEBODY)
    allow("claim", app, "INSERT", SOMEBODY)


def downgrade() -> None:
    op.execute("DROP TABLE claim, calendar, date_override, weekly_rule, hours")
