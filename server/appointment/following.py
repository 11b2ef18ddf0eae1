"""Follow-up visits: to which visit they belong, and what they cost."""

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, func, select

from server.appointment.models import Appointment
from server.appointment.progress import find
from server.core.db import Transaction, sql
from server.core.errors import InvalidField

FIELD = "follows_appointment_id"
FREE_WINDOW = timedelta(days=7)
TOOK_PLACE = frozenset({"checked_in", "in_consultation", "completed"})

_OTHERS = sql(
    select(func.count().label("others"))
    .select_from(Appointment)
    .where(Appointment.follows_id == bindparam("first"), Appointment.status != "cancelled")
)


async def price(tx: Transaction, first_id: UUID, booking: dict[str, Any]) -> Decimal:
    """Answer what the follow-up `booking` of a visit costs, under the lock of the calendar.

    Only the first one of a visit is free, and none of a follow-up. Raises NotFound, and
    InvalidField for a visit of others or one that did not take place.
    """
    first = await find(tx, first_id)
    same = first["patient_id"] == booking["patient"]
    if not same or first["practice_id"] != booking["practice"]:
        raise InvalidField(FIELD, "must be a visit of the same patient at the same practice")
    if first["status"] not in TOOK_PLACE or first["end_time"] > booking["start"]:
        raise InvalidField(FIELD, "must be a visit that took place before")
    (row,) = await tx.all(_OTHERS, first=first_id)
    late = booking["day"] > first["local_date"] + FREE_WINDOW
    if late or row["others"] or first["follows_id"]:
        return Decimal(booking["amount"])
    return Decimal(0)
