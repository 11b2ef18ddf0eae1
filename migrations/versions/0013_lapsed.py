"""Visits that were not paid in time: called off by who has to do with the patient, told in part."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

FUNCTION = """
CREATE OR REPLACE FUNCTION call_off_lapsed(patient uuid, since timestamptz, until timestamptz)
RETURNS jsonb LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  visits jsonb;
BEGIN
  WITH lapsed AS (
    UPDATE appointment
       SET status = 'cancelled', cancelled_by = 'platform', expire_time = NULL,
           revision = revision + 1, update_time = app_now()
     WHERE patient_id = patient AND start_time < until AND end_time > since
       AND status = 'pending_payment' AND expire_time <= app_now() {only}
    RETURNING {told}
  ), voided AS (
    UPDATE payment_transaction SET status = 'voided'
     WHERE appointment_id IN (SELECT appointment_id FROM lapsed)
  )
  SELECT jsonb_agg(to_jsonb(lapsed)) INTO visits FROM lapsed;
  RETURN visits;
END $$;
"""
# The patient themselves, and those to whom they come.
OF_CALLER = """
       AND (patient = ANY (app_patients()) OR EXISTS (
         SELECT FROM appointment own WHERE own.patient_id = patient
            AND (own.doctor_id = app_user() OR own.clinic_id = ANY (app_clinics()))))
"""
RECORDED = (
    "appointment_id, clinic_id, practice_id, doctor_id, patient_id, visit_type_id, status,"
    " cancelled_by, start_time, end_time, confirm_time"
)


def upgrade() -> None:
    op.execute(FUNCTION.format(only=OF_CALLER, told=RECORDED))


def downgrade() -> None:
    op.execute(FUNCTION.format(only="", told="*"))
