"""Figures of the platform for programs that make reports of them."""

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

SCOPES = """
ALTER TABLE access_key DROP CONSTRAINT access_key_scopes_of_kind_check,
  ADD CONSTRAINT access_key_scopes_of_kind_check CHECK (
    CASE WHEN clinic_id IS NULL THEN scopes <@ ARRAY[{service}]
         ELSE scopes <@ ARRAY['availability.read', 'patients.read', 'schedule.read'] END)
"""
AUDIT, REPORTS = "'audit.read'", "'audit.read', 'reports.read'"

# As the owner: who asks learns numbers, and sees no account, visit or payment.
READERS = """
CREATE FUNCTION app_reports() RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT app_admin() IS NOT NULL OR (app_key() IS NOT NULL AND app_key_opens('reports.read'))
$$;
CREATE FUNCTION count_accounts(before timestamptz, since timestamptz, until timestamptz)
RETURNS TABLE (total bigint, current bigint, previous bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT count(*),
         count(*) FILTER (WHERE create_time >= since AND create_time < until),
         count(*) FILTER (WHERE create_time >= before AND create_time < since)
    FROM user_account WHERE (SELECT app_reports())
$$;
CREATE FUNCTION count_pending_verifications() RETURNS TABLE (pending bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT count(*) FROM verification WHERE status = 'pending' AND (SELECT app_reports())
$$;
REVOKE EXECUTE ON FUNCTION count_accounts, count_pending_verifications FROM PUBLIC;
GRANT EXECUTE ON FUNCTION count_accounts, count_pending_verifications TO carelane_app;
"""
FIGURES = """
CREATE OR REPLACE FUNCTION count_visits(first date, last date)
RETURNS TABLE (local_date date, status text, visits bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT a.local_date, a.status, count(*) FROM appointment a
   WHERE a.local_date BETWEEN first AND last AND {may}
   GROUP BY a.local_date, a.status
$$;
CREATE OR REPLACE FUNCTION sum_settled(since timestamptz, until timestamptz)
RETURNS TABLE (currency_code text, amount numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT p.currency_code, sum(p.amount) FROM payment_transaction p
   WHERE p.status = 'settled' AND p.settle_time >= since AND p.settle_time < until
     AND {may}
   GROUP BY p.currency_code
$$;
"""

# A key that could do nothing else is no key any more.
END_KEYS = """
DELETE FROM access_key_secret s USING access_key k
 WHERE k.key_id = s.key_id AND k.scopes = ARRAY['reports.read'];
DELETE FROM access_key WHERE scopes = ARRAY['reports.read'];
"""


def upgrade() -> None:
    op.execute(SCOPES.format(service=REPORTS))
    op.execute(READERS)
    op.execute(FIGURES.format(may="(SELECT app_reports())"))


def downgrade() -> None:
    op.execute(FIGURES.format(may="app_admin() IS NOT NULL"))
    op.execute("DROP FUNCTION count_pending_verifications, count_accounts, app_reports")
    op.execute(END_KEYS)
    op.execute("UPDATE access_key SET scopes = array_remove(scopes, 'reports.read')")
    op.execute(SCOPES.format(service=AUDIT))
