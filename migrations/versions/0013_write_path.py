"""The write path at less cost: one statement for what a change leaves behind, and who is booked."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# As the owner: the policies of accounts ask for every reason to see one, and this is the first.
OWN_PATIENT = """
-- The caller, or a dependant of theirs, while no visit that is not paid for is in the way.
CREATE FUNCTION own_patient(patient uuid, since timestamptz, until timestamptz)
RETURNS TABLE (account_id uuid, full_name text, phone text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT p.account_id, coalesce(p.full_name, u.full_name), u.phone
    FROM patient p JOIN user_account u ON u.user_id = p.account_id
   WHERE p.patient_id = patient AND p.account_id = app_user() AND p.end_time IS NULL
     AND NOT EXISTS (SELECT FROM appointment a WHERE a.patient_id = patient
       AND a.status = 'pending_payment' AND a.start_time < until AND a.end_time > since)
$$;
REVOKE EXECUTE ON FUNCTION own_patient FROM PUBLIC;
GRANT EXECUTE ON FUNCTION own_patient TO carelane_app;
"""


def upgrade() -> None:
    op.execute(OWN_PATIENT)


def downgrade() -> None:
    op.execute("DROP FUNCTION own_patient")
