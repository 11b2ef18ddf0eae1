"""Why a time cannot be booked, and to those who work there what takes it."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from asyncpg import Record
from sqlalchemy import TIMESTAMP, any_, bindparam, func, literal, or_, select

from server.appointment import queries as appointment
from server.availability.hours import Span
from server.availability.models import Claim
from server.availability.schedule import Offer
from server.availability.service import find_offer
from server.availability.slots import MARGIN, Refusal, refusal
from server.core.db import Reader, sql
from server.directory import queries as directory
from server.patient import queries as patients

MOST_VISITS = 20


class Explanation(NamedTuple):
    """Why a visit cannot start, None when it can; the visits in its way, and until when a hold."""

    why: Refusal | None
    visits: tuple[Record, ...] = ()
    hold_end: datetime | None = None


_PRACTICE = directory.practices()
_WORKS_THERE = sql(
    select(literal(1)).where(
        _PRACTICE.c.practice_id == bindparam("practice"),
        or_(
            _PRACTICE.c.doctor_id == func.app_user(),
            _PRACTICE.c.clinic_id == any_(func.app_clinics()),
        ),
    )
)
_VISIT, _PATIENT = appointment.coming_visits(), patients.patients()
_INSTANT = TIMESTAMP(timezone=True)
# What the caller may not see of the visits, row-level security leaves out.
_CLAIMS = sql(
    select(
        Claim.start_time.label("claim_start"),
        Claim.end_time.label("claim_end"),
        Claim.expire_time,
        _VISIT.c.appointment_id,
        _VISIT.c.start_time,
        _VISIT.c.end_time,
        _VISIT.c.clinic_id,
        _VISIT.c.patient_id,
        _PATIENT.c.account_id,
        _PATIENT.c.full_name,
    )
    .join_from(
        Claim,
        _VISIT,
        func.coalesce(_VISIT.c.session_id, _VISIT.c.appointment_id) == Claim.claim_id,
        isouter=True,
    )
    .join(_PATIENT, _PATIENT.c.patient_id == _VISIT.c.patient_id, isouter=True)
    .where(
        Claim.doctor_id == bindparam("doctor"),
        Claim.start_time > bindparam("since", type_=_INSTANT) - MARGIN,
        Claim.start_time < bindparam("until", type_=_INSTANT),
        Claim.end_time > bindparam("since", type_=_INSTANT),
        or_(Claim.expire_time.is_(None), Claim.expire_time > func.app_now()),
    )
    .order_by(Claim.start_time, _VISIT.c.appointment_id)
)


async def explain(
    reader: Reader, now: datetime, practice_id: UUID, visit_type_id: UUID | None, start: datetime
) -> Explanation:
    """Answer why a visit cannot start then; to strangers a taken time is BUSY and no more.

    NotFound for an unknown practice or type.
    """
    offer = await find_offer(reader, practice_id, visit_type_id, start)
    why = refusal(offer.schedule, start, now)
    if why is None or not why.is_taken:
        return Explanation(why)
    if not await reader.one(_WORKS_THERE, practice=practice_id):
        return Explanation(Refusal.BUSY)
    return _explained(why, await _in_the_way(reader, offer, start, why))


async def _in_the_way(reader: Reader, offer: Offer, start: datetime, why: Refusal) -> list[Record]:
    """Read the claims that take the time, once for each visit that has a seat in them."""
    taken = offer.schedule.terms.taken(start)
    if why is not Refusal.TRAVEL:
        return await reader.all(_CLAIMS, doctor=offer.doctor_id, since=taken.start, until=taken.end)
    ways = [way for way in offer.schedule.travel if way.start < taken.end and taken.start < way.end]
    since, until = min(way.start for way in ways), max(way.end for way in ways)
    rows = await reader.all(_CLAIMS, doctor=offer.doctor_id, since=since, until=until)
    return [row for row in rows if _is_reached_by(ways, row)]


def _is_reached_by(ways: Iterable[Span], row: Record) -> bool:
    """Say whether the claim, with as long a way to it as from it, is one of `ways`."""
    return any(
        way.start < row["claim_start"]
        and row["claim_start"] - way.start == way.end - row["claim_end"]
        for way in ways
    )


def _explained(why: Refusal, rows: list[Record]) -> Explanation:
    visits = tuple(row for row in rows if row["appointment_id"])[:MOST_VISITS]
    ends = [row["expire_time"] for row in rows if row["expire_time"]]
    return Explanation(why, visits, max(ends, default=None))
