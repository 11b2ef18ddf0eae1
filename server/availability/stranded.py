"""Booked visits that a change of what is open would leave outside."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import TIMESTAMP, Uuid, bindparam, func, or_, select

from server.appointment import queries as appointment
from server.availability.hours import Span
from server.core.db import Transaction, sql
from server.core.errors import FailedPrecondition


class StrandsAppointments(FailedPrecondition):
    """Booked visits would fall outside of what is open."""

    reason = "STRANDS_APPOINTMENTS"


class Visit(NamedTuple):
    """A visit that is still to take place."""

    appointment_id: UUID
    span: Span


_VISIT = appointment.coming_visits()
_COMING = select(_VISIT.c.appointment_id, _VISIT.c.start_time, _VISIT.c.end_time).where(
    _VISIT.c.end_time > func.app_now()
)
_OF_PRACTICE = sql(_COMING.where(_VISIT.c.practice_id == bindparam("practice")))
_BETWEEN = sql(
    _COMING.where(
        or_(
            _VISIT.c.doctor_id == bindparam("doctor", type_=Uuid),
            _VISIT.c.clinic_id == bindparam("clinic", type_=Uuid),
        ),
        _VISIT.c.start_time < bindparam("until", type_=TIMESTAMP(timezone=True)),
        _VISIT.c.end_time > bindparam("since", type_=TIMESTAMP(timezone=True)),
    )
)


async def coming(tx: Transaction, practice_id: UUID) -> list[Visit]:
    """Read the visits to come at a practice that the caller works at."""
    rows = await tx.all(_OF_PRACTICE, practice=practice_id)
    return [Visit(row[0], Span(row[1], row[2])) for row in rows]


async def check_between(
    tx: Transaction,
    spans: Iterable[Span],
    field: str,
    *,
    doctor_id: UUID | None = None,
    clinic_id: UUID | None = None,
) -> None:
    """Raise StrandsAppointments when visits of the doctor or clinic are booked in these spans."""
    wanted = list(spans)
    if not wanted:
        return
    since, until = min(span.start for span in wanted), max(span.end for span in wanted)
    rows = await tx.all(_BETWEEN, doctor=doctor_id, clinic=clinic_id, since=since, until=until)
    refuse(sum(_is_in(row[1], row[2], wanted) for row in rows), field)


def refuse(count: int, field: str) -> None:
    """Raise StrandsAppointments, naming the field, when there are any."""
    if count:
        raise StrandsAppointments(
            f"{count} booked visits would be outside of what is open;"
            " move or cancel them, or say that they may stay.",
            fields=((field, "must leave the booked visits in, or allow_stranded be set"),),
            metadata={"count": str(count)},
        )


def _is_in(start: datetime, end: datetime, spans: list[Span]) -> bool:
    return any(span.start < end and start < span.end for span in spans)
