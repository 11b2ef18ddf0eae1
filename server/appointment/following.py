"""Follow-up visits: to which visit they belong, and what they cost."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from asyncpg import Record
from sqlalchemy import bindparam, func, select

from server.appointment.models import Appointment
from server.appointment.progress import find
from server.appointment.refusals import TooLate
from server.availability.hours import local_day
from server.availability.schedule import Offer
from server.core.db import Transaction, sql
from server.core.errors import InvalidField

FIELD = "follows_appointment_id"
TOOK_PLACE = frozenset({"in_consultation", "completed"})

_OTHERS = sql(
    select(func.count().label("others"))
    .select_from(Appointment)
    .where(Appointment.follows_id == bindparam("first"), Appointment.status != "cancelled")
)


async def price(
    tx: Transaction, first_id: UUID, patient_id: UUID, offer: Offer, start: datetime
) -> Decimal:
    """Answer what the follow-up of a visit at `start` costs, under the lock of the calendar.

    Only the first one of a visit has the price of follow-ups, and none of a follow-up. Raises
    NotFound, and InvalidField for a visit of others or one that did not take place.
    """
    first = await find(tx, first_id)
    if (first["patient_id"], first["practice_id"]) != (patient_id, offer.practice_id):
        raise InvalidField(FIELD, "must be a visit of the same patient at the same practice")
    if first["status"] not in TOOK_PLACE or first["end_time"] > start:
        raise InvalidField(FIELD, "must be a visit that took place before")
    (row,) = await tx.all(_OTHERS, first=first_id)
    usual = row["others"] or first["follows_id"] or _is_late(first, offer, start)
    return offer.price if usual else offer.follow_up_price


async def check_move(tx: Transaction, visit: Record, offer: Offer, start: datetime) -> None:
    """Raise TooLate when a follow-up would leave the days for which it has its price."""
    if visit["follows_id"] is None or visit["price"] >= offer.price:
        return
    first = await find(tx, visit["follows_id"])
    if _is_late(first, offer, start) and not _is_late(first, offer, visit["start_time"]):
        raise TooLate("The follow-up has its price on earlier days alone; ask the clinic.")


def _is_late(first: Record, offer: Offer, start: datetime) -> bool:
    passed = local_day(offer.schedule.zone, start) - first["local_date"]
    # No days at all are none, not the day itself.
    return passed.days > offer.follow_up_days or not offer.follow_up_days
