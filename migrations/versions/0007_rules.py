"""What makes a time bookable besides hours and taken time."""

from alembic import op

from migrations.ddl import allow, protect

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

VISIT_TYPE = """
ALTER TABLE visit_type
  ADD COLUMN from_opening boolean NOT NULL DEFAULT false,
  ADD COLUMN business_days boolean NOT NULL DEFAULT false,
  ADD COLUMN capacity integer NOT NULL DEFAULT 1,
  ADD COLUMN day_visits integer,
  ADD COLUMN day_minutes integer,
  ADD COLUMN week_visits integer,
  ADD COLUMN week_minutes integer,
  ADD COLUMN retired boolean NOT NULL DEFAULT false,
  ADD COLUMN follow_up_days integer NOT NULL DEFAULT 7,
  ADD COLUMN follow_up_price numeric(14, 3) NOT NULL DEFAULT 0,
  ADD COLUMN revision integer NOT NULL DEFAULT 1,
  ADD COLUMN update_time timestamptz NOT NULL DEFAULT app_now(),
  ADD CONSTRAINT visit_type_capacity_check CHECK (capacity BETWEEN 1 AND 1000),
  ADD CONSTRAINT visit_type_limits_check
    CHECK (least(day_visits, day_minutes, week_visits, week_minutes) > 0),
  ADD CONSTRAINT visit_type_follow_up_check
    CHECK (follow_up_days >= 0 AND follow_up_price >= 0),
  ADD CONSTRAINT visit_type_retired_check CHECK (NOT (retired AND is_default));
GRANT UPDATE (from_opening, business_days, capacity, day_visits, day_minutes, week_visits,
  week_minutes, retired, follow_up_days, follow_up_price, revision, update_time)
  ON visit_type TO carelane_app;
"""
TABLES = """
CREATE TABLE extra_opening (
  opening_id uuid PRIMARY KEY DEFAULT new_id(),
  clinic_id uuid NOT NULL,
  practice_id uuid NOT NULL,
  day date NOT NULL,
  start_minute integer NOT NULL,
  end_minute integer NOT NULL,
  FOREIGN KEY (clinic_id, practice_id) REFERENCES hours (clinic_id, practice_id),
  CONSTRAINT extra_opening_minutes_check
    CHECK (start_minute BETWEEN 0 AND 1439 AND end_minute BETWEEN 0 AND 1439)
);
CREATE INDEX extra_opening_practice ON extra_opening (practice_id, day);

CREATE TABLE time_off (
  time_off_id uuid PRIMARY KEY DEFAULT new_id(),
  doctor_id uuid NOT NULL REFERENCES calendar,
  clinic_id uuid,
  practice_id uuid,
  start_time timestamptz NOT NULL,
  end_time timestamptz NOT NULL,
  FOREIGN KEY (clinic_id, practice_id, doctor_id)
    REFERENCES practice (clinic_id, practice_id, doctor_id),
  CONSTRAINT time_off_order_check CHECK (start_time < end_time),
  CONSTRAINT time_off_practice_check CHECK ((practice_id IS NULL) = (clinic_id IS NULL))
);
CREATE INDEX time_off_doctor ON time_off (doctor_id, end_time);

CREATE TABLE closure (
  closure_id uuid PRIMARY KEY DEFAULT new_id(),
  clinic_id uuid NOT NULL REFERENCES clinic,
  first_day date NOT NULL,
  last_day date NOT NULL,
  name text NOT NULL DEFAULT '',
  CONSTRAINT closure_order_check CHECK (first_day <= last_day)
);
CREATE INDEX closure_clinic ON closure (clinic_id, last_day);

CREATE TABLE public_holidays (
  clinic_id uuid PRIMARY KEY REFERENCES clinic,
  observed boolean NOT NULL,
  country_code text NOT NULL,
  subdivision text NOT NULL,
  open_on text[] NOT NULL,
  revision integer NOT NULL DEFAULT 1,
  update_time timestamptz NOT NULL DEFAULT app_now()
);
"""

EDITS = "practice_id IN (SELECT p.practice_id FROM practice p WHERE p.doctor_id = (SELECT app_user()) OR p.clinic_id = ANY ((SELECT app_clinics())::uuid[]))"  # noqa: E501
OF_CLINIC = "clinic_id = ANY ((SELECT app_clinics())::uuid[])"
OWN = "doctor_id = (SELECT app_user())"
WRITERS = {
    "extra_opening": EDITS,
    "time_off": f"{OWN} OR {OF_CLINIC}",
    "closure": OF_CLINIC,
    "public_holidays": OF_CLINIC,
}


def upgrade() -> None:
    op.execute(VISIT_TYPE)
    op.execute(TABLES)
    for table, rows in WRITERS.items():
        protect(table)
        allow(table, "carelane_app", "SELECT")
        allow(table, "carelane_app", "INSERT, UPDATE, DELETE", rows)
        allow(table, "carelane_worker", "SELECT")


def downgrade() -> None:
    op.execute("DROP TABLE public_holidays, closure, time_off, extra_opening")
    op.execute(
        "ALTER TABLE visit_type DROP COLUMN from_opening, DROP COLUMN business_days,"
        " DROP COLUMN capacity, DROP COLUMN day_visits, DROP COLUMN day_minutes,"
        " DROP COLUMN week_visits, DROP COLUMN week_minutes, DROP COLUMN retired,"
        " DROP COLUMN follow_up_days, DROP COLUMN follow_up_price,"
        " DROP COLUMN revision, DROP COLUMN update_time"
    )
