"""What other domains may read of patients, as selectables for their own statements."""

from sqlalchemy import Subquery, func, select

from server.auth import queries as auth
from server.patient.models import Patient


def patients() -> Subquery:
    """One row a patient, with name, phone and whose account it is, as far as the caller sees."""
    person = auth.people()
    return (
        select(
            Patient.patient_id,
            Patient.account_id,
            Patient.end_time,
            func.coalesce(Patient.full_name, person.c.full_name).label("full_name"),
            person.c.phone,
        )
        .join_from(Patient, person, person.c.user_id == Patient.account_id, isouter=True)
        .subquery("patients")
    )
