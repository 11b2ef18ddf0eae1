"""What other domains may read of appointments, as selectables for their own statements."""

from sqlalchemy import Subquery, any_, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Text

from server.appointment.models import Appointment, Hold
from server.appointment.states import ACTIVE


def coming_visits() -> Subquery:
    """The visits that are still to take place, as far as the caller may see them."""
    return (
        select(
            Appointment.appointment_id,
            Appointment.clinic_id,
            Appointment.practice_id,
            Appointment.doctor_id,
            Appointment.patient_id,
            Appointment.start_time,
            Appointment.end_time,
        )
        .where(Appointment.status == any_(literal(sorted(ACTIVE), ARRAY(Text))))
        .subquery("coming_visits")
    )


def own_holds() -> Subquery:
    """The caller's own holds: to them alone the time stays free."""
    return select(Hold.hold_id).where(Hold.holder_id == func.app_user()).subquery("own_holds")
