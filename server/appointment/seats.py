"""Group visits: one claim, the session, for all who come at a start, and a seat for each."""

from datetime import datetime
from typing import Any

from sqlalchemy import FromClause, Select, Uuid, bindparam, func, or_, select

from server.availability.schedule import Offer

# The claim of the visit: the session of a group, or its own.
OLD_SESSION = bindparam("old_session", None, type_=Uuid)


def is_group(offer: Offer) -> bool:
    """Say whether several patients may come at one start."""
    return offer.schedule.terms.capacity > 1


def joins(offer: Offer, start: datetime) -> bool:
    """Say whether somebody else comes at that start already, in the same session."""
    return any(each.shared and each.start == start for each in offer.schedule.booked)


def left_by(visits: FromClause) -> Select[Any]:
    """Select the claims that end when these visits end: not that of a session with other seats.

    The seats are counted as they were before the statement.
    """
    session = visits.c.session_id
    return select(func.coalesce(session, visits.c.appointment_id).label("claim_id")).where(
        or_(session.is_(None), func.seats_of(session) <= 1)
    )


def left_by_move() -> Select[Any]:
    """Select the same for the visit `appointment`, whose session was `old_session`, if any."""
    visit = bindparam("appointment", type_=Uuid)
    return select(func.coalesce(OLD_SESSION, visit).label("claim_id")).where(
        or_(OLD_SESSION.is_(None), func.seats_of(OLD_SESSION) <= 1)
    )
