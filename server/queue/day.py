"""The queue of a practice's day: read in one statement, put in order, with expected waits."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
from sqlalchemy import DATE, TIMESTAMP, Text, and_, any_, bindparam, func, literal, or_, select
from sqlalchemy.dialects.postgresql import ARRAY

from server.appointment import view
from server.availability.hours import DAY, local_day
from server.core.db import Transaction, sql
from server.core.errors import NotFound
from server.directory import queries as directory
from server.queue.models import QueueDay, QueueSetting, QueueTicket
from server.queue.waits import MINUTE, Late, Length, Pace, Place, Wait, expected_waits

GRACE_MINUTES = 30
"""After how long a patient who did not come is marked, where a practice chose nothing."""
UNKNOWN = "There is no such practice."
REMEMBERED_DAYS = 60
MOST_REMEMBERED = 500
OVER_MIDNIGHT = timedelta(hours=6)
"""How long who came yesterday and is not done stays in the queue; then it was forgotten."""
STATES = {
    "completed": "done",
    "in_consultation": "in_consultation",
    "checked_in": "waiting",
    "booked": "expected",
}
"""What a status of a visit is in the queue, in the order in which the queue shows them."""
_ORDER = {state: number for number, state in enumerate(STATES.values())}

_practice = directory.practices()
_visit = view.ALL.subquery("visits")
_today = func.timezone(
    _practice.c.time_zone, bindparam("now", type_=TIMESTAMP(timezone=True))
).cast(DATE)
_over_midnight = and_(
    _visit.c.local_date == _today - 1,
    _visit.c.status == any_(literal(["checked_in", "in_consultation"], ARRAY(Text))),
    _visit.c.update_time > bindparam("now", type_=TIMESTAMP(timezone=True)) - OVER_MIDNIGHT,
)
_OURS = or_(
    _practice.c.doctor_id == func.app_user(), _practice.c.clinic_id == any_(func.app_clinics())
)
_ENTRY = (
    _visit.c.appointment_id,
    _visit.c.status,
    _visit.c.start_time,
    _visit.c.end_time,
    _visit.c.session_id,
    _visit.c.patient_id,
    _visit.c.patient_name,
    _visit.c.visit_type_name,
    QueueTicket.token,
    QueueTicket.check_in_time,
    QueueTicket.consultation_start_time,
    QueueTicket.consultation_end_time,
)
_FIND = sql(
    select(*_ENTRY)
    .join(QueueTicket, QueueTicket.appointment_id == _visit.c.appointment_id)
    .where(_visit.c.appointment_id == bindparam("appointment"))
)
_READ = sql(
    select(
        _practice.c.clinic_id,
        _practice.c.practice_id,
        _practice.c.doctor_id,
        _practice.c.time_zone,
        QueueDay.late_minutes,
        QueueDay.late_time,
        QueueDay.last_token,
        QueueSetting.no_show_grace_minutes,
        *_ENTRY,
    )
    .select_from(_practice)
    .join(
        QueueDay,
        and_(QueueDay.practice_id == _practice.c.practice_id, QueueDay.local_date == _today),
        isouter=True,
    )
    .join(QueueSetting, QueueSetting.practice_id == _practice.c.practice_id, isouter=True)
    .join(
        _visit,
        and_(
            _visit.c.practice_id == _practice.c.practice_id,
            _visit.c.doctor_id == _practice.c.doctor_id,
            or_(_visit.c.local_date == _today, _over_midnight),
            # constants, since row-level security keeps the planner from an index by `_today`
            _visit.c.local_date.between(bindparam("low"), bindparam("high")),
            _visit.c.status == any_(literal([*STATES], ARRAY(Text))),
        ),
        isouter=True,
    )
    .join(QueueTicket, QueueTicket.appointment_id == _visit.c.appointment_id, isouter=True)
    .where(_practice.c.practice_id == bindparam("practice"), _OURS)
)
_FIND_PRACTICE = sql(
    select(
        _practice.c.clinic_id, _practice.c.practice_id, _practice.c.doctor_id, _practice.c.time_zone
    ).where(_practice.c.practice_id == bindparam("practice"), _OURS)
)
_REMEMBER = sql(
    select(
        QueueTicket.booked_minutes,
        QueueTicket.consultation_start_time,
        QueueTicket.consultation_end_time,
    )
    .join(QueueDay, QueueDay.queue_day_id == QueueTicket.queue_day_id)
    .where(
        QueueDay.practice_id == bindparam("practice"),
        QueueDay.local_date.between(bindparam("first"), bindparam("last")),
        QueueTicket.consultation_end_time.is_not(None),
        QueueTicket.booked_minutes > 0,
    )
    .order_by(QueueTicket.consultation_start_time.desc())
    .limit(MOST_REMEMBERED)
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A patient of the day; `token` 0 and times None before they are known.

    In a group, `session_id`, the booked minutes are a patient's part of the whole.
    """

    appointment_id: UUID
    state: str
    token: int
    patient_id: UUID
    patient_name: str
    visit_type_name: str
    start_time: datetime
    booked_minutes: float
    check_in_time: datetime | None
    consultation_start_time: datetime | None
    consultation_end_time: datetime | None
    session_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Practice:
    """Whose queue it is."""

    practice_id: UUID
    clinic_id: UUID
    doctor_id: UUID
    zone: ZoneInfo

    def today(self, now: datetime) -> date:
        """Answer the local day at the clinic."""
        return local_day(self.zone, now)


@dataclass(frozen=True, slots=True)
class Queue:
    """A practice's day as it stands; `entries` are in the order of the queue, without waits."""

    practice: Practice
    local_date: date
    late: Late | None
    grace_minutes: int
    entries: tuple[Entry, ...]

    @property
    def patients(self) -> set[UUID]:
        """Those who are shown by name."""
        return {entry.patient_id for entry in self.entries}

    def place(self, appointment_id: UUID) -> int:
        """Answer the place of a visit among the entries; NotFound when it is not there."""
        for place, entry in enumerate(self.entries):
            if entry.appointment_id == appointment_id:
                return place
        raise NotFound("The appointment is not in the queue of today.")

    def ahead(self, place: int) -> int:
        """Answer how many wait in front of a place; none for who was called."""
        return sum(entry.state == "waiting" for entry in self.entries[:place])

    def lengths(self) -> list[Length]:
        """Answer the consultations of today that have ended, of patients who came alone."""
        return [
            Length(entry.booked_minutes, _minutes(start, end), today=True)
            for entry in self.entries
            if entry.session_id is None
            if (start := entry.consultation_start_time) and (end := entry.consultation_end_time)
        ]

    def waits(self, now: datetime, past: Sequence[Length]) -> list[Wait | None]:
        """Answer the expected wait of each entry, learned from today and from `past`."""
        places = [
            Place(
                entry.state, entry.start_time, entry.booked_minutes, entry.consultation_start_time
            )
            for entry in self.entries
        ]
        return expected_waits(now, places, Pace.of([*past, *self.lengths()]), self.late)


def record_read(tx: Transaction, practice: Practice, patients: set[UUID]) -> None:
    """Record that the caller was shown who comes today."""
    if patients:
        at, shown = practice.clinic_id, sorted(patients)
        tx.record_read("queue.read", practice.practice_id, clinic_id=at, patients=shown)


async def find_practice(tx: Transaction, practice_id: UUID) -> Practice:
    """Find a practice; NotFound unless the caller is its doctor or the clinic's staff."""
    row = await tx.one(_FIND_PRACTICE, practice=practice_id)
    if row is None:
        raise NotFound(UNKNOWN)
    return _practice_of(row)


async def read(tx: Transaction, practice_id: UUID, *, zone: ZoneInfo | None = None) -> Queue:
    """Read the queue of today; NotFound unless the caller is its doctor or the clinic's staff.

    Who knows the `zone` of the clinic spares the database the days around.
    """
    today = local_day(zone, tx.now) if zone else tx.now.date()
    high = today if zone else today + DAY
    low = today - (DAY if zone else 2 * DAY)
    rows = await tx.all(_READ, practice=practice_id, now=tx.now, low=low, high=high)
    if not rows:
        raise NotFound(UNKNOWN)
    first = rows[0]
    practice = _practice_of(first)
    late = Late(first["late_minutes"], first["late_time"]) if first["late_time"] else None
    entries = _shared([_entry(row) for row in rows if row["appointment_id"]])
    return Queue(
        practice,
        practice.today(tx.now),
        late,
        _grace_minutes(first),
        tuple(sorted(entries, key=_place)),
    )


async def find(tx: Transaction, appointment_id: UUID) -> Entry:
    """Read the place of a patient who has checked in."""
    (row,) = await tx.all(_FIND, appointment=appointment_id)
    return _entry(row)


async def remember(tx: Transaction, practice: Practice) -> list[Length]:
    """Read how long consultations took before today, the newest first."""
    today = practice.today(tx.now)
    rows = await tx.all(
        _REMEMBER,
        practice=practice.practice_id,
        first=today - REMEMBERED_DAYS * DAY,
        last=today - DAY,
    )
    return [
        Length(
            row["booked_minutes"],
            _minutes(row["consultation_start_time"], row["consultation_end_time"]),
        )
        for row in rows
    ]


def _practice_of(row: asyncpg.Record) -> Practice:
    return Practice(
        row["practice_id"], row["clinic_id"], row["doctor_id"], ZoneInfo(row["time_zone"])
    )


def _grace_minutes(row: asyncpg.Record) -> int:
    """Answer what the practice chose; else nobody is marked until the desk is at work."""
    chosen: int | None = row["no_show_grace_minutes"]
    if chosen is not None:
        return chosen
    return GRACE_MINUTES if row["last_token"] else 0


def _entry(row: asyncpg.Record) -> Entry:
    return Entry(
        appointment_id=row["appointment_id"],
        state=STATES[row["status"]],
        token=row["token"] or 0,
        patient_id=row["patient_id"],
        patient_name=row["patient_name"] or "",
        visit_type_name=row["visit_type_name"],
        start_time=row["start_time"],
        booked_minutes=_minutes(row["start_time"], row["end_time"]),
        check_in_time=row["check_in_time"],
        consultation_start_time=row["consultation_start_time"],
        consultation_end_time=row["consultation_end_time"],
        session_id=row["session_id"],
    )


def _shared(entries: Sequence[Entry]) -> Iterator[Entry]:
    """Divide the minutes of each group among those who come to it."""
    coming = Counter(entry.session_id for entry in entries)
    for entry in entries:
        parts = coming[entry.session_id] if entry.session_id else 1
        yield replace(entry, booked_minutes=entry.booked_minutes / parts)


def _minutes(start: datetime, end: datetime) -> float:
    return (end - start) / MINUTE


def _place(entry: Entry) -> tuple[Any, ...]:
    """Answer what the queue is sorted by: state, then call, check-in or booked start."""
    since = entry.check_in_time if entry.state == "waiting" else entry.consultation_start_time
    return _ORDER[entry.state], since or entry.start_time, entry.token
