"""When a doctor is away: from all clinics, or from one of their practices."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from asyncpg import Record
from sqlalchemy import any_, bindparam, delete, func, literal, or_, select
from sqlalchemy.dialects.postgresql import insert

from server.availability import stranded
from server.availability.hours import Span
from server.availability.models import Calendar, TimeOff
from server.availability.stranded import Visit
from server.core.db import Feed, Lock, Transaction, sql
from server.core.errors import InvalidField, NotFound
from server.directory import queries as directory
from server.directory.keyset import Listing

LONGEST = timedelta(days=366)

_COLUMNS = (
    TimeOff.time_off_id,
    TimeOff.doctor_id,
    TimeOff.clinic_id,
    TimeOff.practice_id,
    TimeOff.start_time,
    TimeOff.end_time,
)
_PRACTICE = directory.practices()
_EDITED = sql(
    select(_PRACTICE.c.doctor_id, _PRACTICE.c.clinic_id, _PRACTICE.c.practice_id).where(
        _PRACTICE.c.practice_id == bindparam("practice"),
        or_(
            _PRACTICE.c.doctor_id == func.app_user(),
            _PRACTICE.c.clinic_id == any_(func.app_clinics()),
        ),
    )
)
_HAS_CALENDAR = sql(select(literal(1)).where(Calendar.doctor_id == bindparam("doctor")))
_CLINICS_OF = sql(select(_PRACTICE.c.clinic_id).where(_PRACTICE.c.doctor_id == bindparam("doctor")))
_ADD = sql(
    insert(TimeOff)
    .values(
        doctor_id=bindparam("doctor"),
        clinic_id=bindparam("clinic"),
        practice_id=bindparam("practice"),
        start_time=bindparam("start"),
        end_time=bindparam("end"),
    )
    .returning(*_COLUMNS)
)
_REMOVE = sql(
    delete(TimeOff)
    .where(
        TimeOff.time_off_id == bindparam("id"),
        or_(
            TimeOff.doctor_id == func.app_user(),
            TimeOff.clinic_id == any_(func.app_clinics()),
        ),
    )
    .returning(*_COLUMNS)
)
_COMING = select(*_COLUMNS).where(
    TimeOff.doctor_id == bindparam("doctor"), TimeOff.end_time > func.app_now()
)
_OF_DOCTOR = Listing(_COMING, TimeOff.start_time, TimeOff.time_off_id)
_OF_PRACTICE = Listing(
    _COMING.where(
        or_(TimeOff.practice_id.is_(None), TimeOff.practice_id == bindparam("practice")),
    ),
    TimeOff.start_time,
    TimeOff.time_off_id,
)


def lock_of(time_off_id: UUID) -> Lock:
    """Lock the calendar that has the time off."""
    return Lock(
        "SELECT FROM calendar WHERE doctor_id ="
        " (SELECT doctor_id FROM time_off WHERE time_off_id = {}) FOR UPDATE",
        time_off_id,
    )


async def add(
    tx: Transaction,
    practice_id: UUID | None,
    start: datetime,
    end: datetime,
    *,
    allow_stranded: bool,
) -> Record:
    """Take time at a practice, or the calling doctor's at all, out of the offer.

    The calendar must be locked. Raises InvalidField, StrandsAppointments, and NotFound for
    another's practice and for who has no calendar.
    """
    _check(start, end, tx.now)
    whose = await _whose(tx, practice_id)
    if not allow_stranded:
        visits = await stranded.between(tx, [Span(start, end)], **whose)
        stranded.refuse(visits, "start_time")
    row = await tx.one(_ADD, start=start, end=end, **whose)
    assert row is not None  # noqa: S101 - an INSERT of one row
    await _record(tx, "time_off.added", row, gone=False)
    return row


async def would_strand(
    tx: Transaction, practice_id: UUID | None, start: datetime, end: datetime
) -> list[Visit]:
    """Answer the visits that `add` would strand; raises what it raises for other reasons."""
    _check(start, end, tx.now)
    return await stranded.between(tx, [Span(start, end)], **await _whose(tx, practice_id))


async def remove(tx: Transaction, time_off_id: UUID) -> None:
    """Offer the time again; the calendar must be locked. Raises NotFound."""
    row = await tx.one(_REMOVE, id=time_off_id)
    if row is None:
        raise NotFound("There is no such time off.")
    await _record(tx, "time_off.removed", row, gone=True)


async def listed(
    tx: Transaction, practice_id: UUID | None, *, after: Sequence[Any] | None, limit: int
) -> list[Record]:
    """Answer a page of what is not over, by start: that which a practice has, or the caller's all.

    Raises NotFound for another's practice.
    """
    place: dict[str, Any] = {"after": after, "limit": limit}
    if practice_id is None:
        return await _OF_DOCTOR.page(tx, doctor=tx.user_id, **place)
    whose = await _whose(tx, practice_id)
    return await _OF_PRACTICE.page(tx, doctor=whose["doctor"], practice=practice_id, **place)


async def _whose(tx: Transaction, practice_id: UUID | None) -> dict[str, UUID | None]:
    """Answer doctor, clinic and practice; without a practice those of the calling doctor."""
    if practice_id is None:
        if await tx.one(_HAS_CALENDAR, doctor=tx.user_id) is None:
            raise NotFound("You have no doctor's profile; name the practice.")
        return {"doctor": tx.user_id, "clinic": None, "practice": None}
    row = await tx.one(_EDITED, practice=practice_id)
    if row is None:
        raise NotFound("There is no such practice.")
    return {"doctor": row[0], "clinic": row[1], "practice": row[2]}


def _check(start: datetime, end: datetime, now: datetime) -> None:
    if end <= start:
        raise InvalidField("end_time", "must be after start_time")
    if end <= now:
        raise InvalidField("end_time", "must be in the future")
    if end - start > LONGEST:
        raise InvalidField("end_time", "must be at most 366 days after start_time")


async def _record(tx: Transaction, action: str, row: Record, *, gone: bool) -> None:
    """Tell the clinic at which the doctor is away, or every one at which they work."""
    names = ("doctor_id", "practice_id", "start_time", "end_time")
    state = None if gone else {name: row[name] for name in names}
    time_off_id = row["time_off_id"]
    clinics = [row["clinic_id"]] if row["clinic_id"] else await _clinics(tx, row["doctor_id"])
    if not clinics:
        tx.record(action, time_off_id, fields=names)
    for clinic_id in clinics:
        feed = Feed("time_off", time_off_id, state)
        tx.record(action, time_off_id, clinic_id=clinic_id, fields=names, feed=feed)


async def _clinics(tx: Transaction, doctor_id: UUID) -> list[UUID]:
    return [row["clinic_id"] for row in await tx.all(_CLINICS_OF, doctor=doctor_id)]
