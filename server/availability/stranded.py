"""Booked visits that a change of what is open would leave outside."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

from asyncpg import Record
from sqlalchemy import TIMESTAMP, Uuid, bindparam, func, or_, select

from server.appointment import queries as appointment
from server.availability.hours import Span
from server.core.db import Transaction, sql
from server.core.errors import FailedPrecondition


class StrandsAppointments(FailedPrecondition):
    """Booked visits would fall outside of what is open."""

    reason = "STRANDS_APPOINTMENTS"

    def __init__(self, visits: Sequence["Visit"], field: str) -> None:
        stranded = "1 booked visit" if len(visits) == 1 else f"{len(visits)} booked visits"
        super().__init__(
            f"{stranded} would be outside of what is open;"
            " move or cancel first, or say that it may be so.",
            fields=((field, "must leave the booked visits in, or allow_stranded be set"),),
            metadata={"count": str(len(visits))},
        )
        self.visits = visits


class Visit(NamedTuple):
    """A visit that is still to take place."""

    appointment_id: UUID
    span: Span
    visit_type_id: UUID
    session_id: UUID | None


_VISIT = appointment.coming_visits()
_COMING = select(
    _VISIT.c.appointment_id,
    _VISIT.c.start_time,
    _VISIT.c.end_time,
    _VISIT.c.visit_type_id,
    _VISIT.c.session_id,
).where(_VISIT.c.end_time > func.app_now())
_OF_PRACTICE = sql(_COMING.where(_VISIT.c.practice_id == bindparam("practice")))
_DOCTOR, _CLINIC, _PRACTICE = (
    bindparam(name, type_=Uuid) for name in ("doctor", "clinic", "practice")
)
_BETWEEN = sql(
    _COMING.where(
        or_(_DOCTOR.is_(None), _VISIT.c.doctor_id == _DOCTOR),
        or_(_CLINIC.is_(None), _VISIT.c.clinic_id == _CLINIC),
        or_(_PRACTICE.is_(None), _VISIT.c.practice_id == _PRACTICE),
        _VISIT.c.start_time < bindparam("until", type_=TIMESTAMP(timezone=True)),
        _VISIT.c.end_time > bindparam("since", type_=TIMESTAMP(timezone=True)),
    ).order_by(_VISIT.c.start_time, _VISIT.c.appointment_id)
)


async def coming(tx: Transaction, practice_id: UUID) -> list[Visit]:
    """Read the visits to come at a practice that the caller works at."""
    rows = await tx.all(_OF_PRACTICE, practice=practice_id)
    return [_visit(row) for row in rows]


async def between(
    tx: Transaction,
    spans: Iterable[Span],
    *,
    doctor: UUID | None = None,
    clinic: UUID | None = None,
    practice: UUID | None = None,
) -> list[Visit]:
    """Answer the visits of all that is named, one at least, that are booked in these spans."""
    wanted = list(spans)
    if not wanted:
        return []
    since, until = min(span.start for span in wanted), max(span.end for span in wanted)
    whose = {"doctor": doctor, "clinic": clinic, "practice": practice}
    rows = await tx.all(_BETWEEN, since=since, until=until, **whose)
    visits = map(_visit, rows)
    return [visit for visit in visits if _is_in(visit.span, wanted)]


def refuse(visits: Sequence[Visit], field: str) -> None:
    """Raise StrandsAppointments, naming the field, when there are any."""
    if visits:
        raise StrandsAppointments(visits, field)


def _visit(row: Record) -> Visit:
    return Visit(row[0], Span(row[1], row[2]), row[3], row[4])


def _is_in(visit: Span, spans: list[Span]) -> bool:
    return any(span.start < visit.end and visit.start < span.end for span in spans)
