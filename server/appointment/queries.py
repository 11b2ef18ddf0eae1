"""What other domains may read of appointments, as selectables for their own statements."""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Subquery, any_, func, literal, or_, select
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
            Appointment.visit_type_id,
            Appointment.session_id,
            Appointment.start_time,
            Appointment.end_time,
        )
        .where(
            Appointment.status == any_(literal(sorted(ACTIVE), ARRAY(Text))),
            or_(Appointment.expire_time.is_(None), Appointment.expire_time > func.app_now()),
        )
        .subquery("coming_visits")
    )


def live_holds() -> Subquery:
    """The times that are held, by which account and where, as far as the caller may see them."""
    return (
        select(Hold.holder_id, Hold.practice_id, Hold.start_time)
        .where(Hold.expire_time > func.app_now())
        .subquery("live_holds")
    )


def own_holds() -> Subquery:
    """The claims of the caller's own holds alone: to them the time stays free."""
    own = (Hold.holder_id == func.app_user()) & (Hold.expire_time > func.app_now())
    held = select(Hold.claim_id).where(own).group_by(Hold.claim_id)
    return held.having(func.seats_of(Hold.claim_id) <= func.count()).subquery("own_holds")


def promises(practice_id: ColumnElement[UUID], visit_type_id: ColumnElement[UUID]) -> Select[Any]:
    """The starts of a visit type that the caller holds, and since when."""
    return select(func.array_agg(func.row(Hold.start_time, Hold.create_time))).where(
        Hold.holder_id == func.app_user(),
        Hold.expire_time > func.app_now(),
        Hold.practice_id == practice_id,
        Hold.visit_type_id == visit_type_id,
    )
