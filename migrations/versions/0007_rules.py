"""What makes a time bookable besides hours and taken time."""

from alembic import op

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
  ADD COLUMN revision integer NOT NULL DEFAULT 1,
  ADD COLUMN update_time timestamptz NOT NULL DEFAULT app_now(),
  ADD CONSTRAINT visit_type_capacity_check CHECK (capacity BETWEEN 1 AND 1000),
  ADD CONSTRAINT visit_type_limits_check
    CHECK (least(day_visits, day_minutes, week_visits, week_minutes) > 0),
  ADD CONSTRAINT visit_type_retired_check CHECK (NOT (retired AND is_default));
GRANT UPDATE (from_opening, business_days, capacity, day_visits, day_minutes, week_visits,
  week_minutes, retired, revision, update_time) ON visit_type TO carelane_app;
"""


def upgrade() -> None:
    op.execute(VISIT_TYPE)


def downgrade() -> None:
    op.execute(
        "ALTER TABLE visit_type DROP COLUMN from_opening, DROP COLUMN business_days,"
        " DROP COLUMN capacity, DROP COLUMN day_visits, DROP COLUMN day_minutes,"
        " DROP COLUMN week_visits, DROP COLUMN week_minutes, DROP COLUMN retired,"
        " DROP COLUMN revision, DROP COLUMN update_time"
    )
