"""Calendar feeds."""

from alembic import op

from migrations.ddl import allow, protect

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE calendar_feed (
  user_id uuid PRIMARY KEY REFERENCES user_account ON DELETE CASCADE,
  token_hash bytea NOT NULL UNIQUE,
  create_time timestamptz NOT NULL DEFAULT app_now()
);
"""

# A calendar program has nothing but the secret; it stands for one person, as long as they may
# use their account.
LOOKUP = """
CREATE FUNCTION find_calendar_feed(hash bytea) RETURNS TABLE (user_id uuid, role text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT u.user_id, u.role
    FROM calendar_feed f JOIN user_account u ON u.user_id = f.user_id
   WHERE f.token_hash = hash AND u.status = 'active'
$$;
REVOKE EXECUTE ON FUNCTION find_calendar_feed FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_calendar_feed TO carelane_app;
"""

OWN = "user_id = (SELECT app_user())"


def upgrade() -> None:
    op.execute(TABLES)
    protect("calendar_feed")
    change = "UPDATE (token_hash, create_time)"
    allow("calendar_feed", "carelane_app", f"SELECT, INSERT, {change}, DELETE", OWN)
    op.execute(LOOKUP)


def downgrade() -> None:
    op.execute("DROP FUNCTION find_calendar_feed")
    op.execute("DROP TABLE calendar_feed")
