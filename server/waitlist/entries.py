"""Waiting for a time: joining, leaving, and who waits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
from sqlalchemy import (
    TIMESTAMP,
    Integer,
    Uuid,
    any_,
    bindparam,
    exists,
    func,
    insert,
    or_,
    select,
    tuple_,
    update,
)

from server.availability.hours import local_day
from server.core.access import Caller
from server.core.db import Lock, Transaction, refusing, sql
from server.core.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidField,
    NotFound,
    Unauthenticated,
)
from server.core.statement import Statement
from server.directory import queries as directory
from server.directory import reference
from server.patient import queries as patients
from server.waitlist.models import WaitlistEntry
from server.waitlist.view import ALL, ENTRY, FIND, OWN

MOST_LIVE = 10
LONGEST = timedelta(days=366)
LIVE = ("waiting", "offered")


class AlreadyWaiting(AlreadyExists):
    """The patient waits for that already."""

    reason = "ALREADY_WAITING"
    text = "You wait for this already."


class TooManyEntries(FailedPrecondition):
    """The patient waits for as many things as they may."""

    reason = "TOO_MANY_ENTRIES"
    text = f"You can wait for at most {MOST_LIVE} things at once; leave one."


@dataclass(frozen=True, slots=True)
class Wish:
    """What suits whom: ISO weekdays (none for all), minutes of the clinic's day, and days.

    `patient_id` is the caller or a dependant of theirs.
    """

    patient_id: UUID
    weekdays: tuple[int, ...]
    earliest: int
    latest: int
    from_date: date | None
    until_date: date


_IS_LIVE = or_(*(WaitlistEntry.status == status for status in LIVE))
_COLUMNS = (
    *("patient_id", "wanted_clinic_id", "wanted_practice_id", "wanted_doctor_id"),
    *("visit_type_id", "specialty_id", "city_id", "weekdays", "earliest_minute", "latest_minute"),
    *("from_date", "until_date"),
)
_WHO = patients.patients()
_KNOWN = exists().where(
    _WHO.c.patient_id == bindparam("v_patient_id", type_=Uuid),
    _WHO.c.account_id == func.app_user(),
    _WHO.c.end_time.is_(None),
)
_WANTED = (bindparam(f"v_{name}", type_=ENTRY.c[name].type) for name in _COLUMNS)
_JOIN = sql(
    insert(WaitlistEntry)
    .from_select(_COLUMNS, select(*_WANTED).where(_KNOWN))
    .returning(WaitlistEntry.entry_id)
)
_COUNT = sql(
    select(func.count().label("live")).where(
        WaitlistEntry.patient_id == bindparam("patient"), _IS_LIVE
    )
)
_PRACTICE, _TYPES = directory.practices(), directory.visit_types()
_TYPE = bindparam("visit_type", type_=Uuid)
FIND_PRACTICE = sql(
    select(
        _PRACTICE.c.practice_id.label("wanted_practice_id"),
        _PRACTICE.c.clinic_id.label("wanted_clinic_id"),
        _PRACTICE.c.doctor_id.label("wanted_doctor_id"),
        _PRACTICE.c.time_zone,
    ).where(
        _PRACTICE.c.practice_id == bindparam("practice"),
        _PRACTICE.c.bookable,
        or_(
            _TYPE.is_(None),
            select(_TYPES.c.visit_type_id)
            .where(_TYPES.c.visit_type_id == _TYPE, _TYPES.c.practice_id == _PRACTICE.c.practice_id)
            .exists(),
        ),
    )
)
SET_STATUS = sql(
    update(WaitlistEntry)
    .where(WaitlistEntry.entry_id == bindparam("entry"), _IS_LIVE)
    .values(status=bindparam("wanted"), update_time=func.app_now())
)
_KEY = tuple_(ENTRY.c.create_time, ENTRY.c.entry_id)
_AFTER = tuple_(
    bindparam("after_time", type_=TIMESTAMP(timezone=True)), bindparam("after_id", type_=Uuid)
)
_LIVE_ENTRY = or_(*(ENTRY.c.status == status for status in LIVE))
_OURS = or_(
    ENTRY.c.wanted_doctor_id == func.app_user(),
    ENTRY.c.wanted_clinic_id == any_(func.app_clinics()),
)


def lock_person(caller: Caller) -> Lock:
    """Lock the caller's account, under which entries are counted."""
    if caller.user_id is None:
        raise Unauthenticated
    template = "SELECT FROM user_account WHERE user_id = {} FOR NO KEY UPDATE"
    return Lock(template, caller.user_id)


def lock(entry_id: UUID) -> Lock:
    """Lock the calendar in which a time is kept for an entry, if one is, and then the entry."""
    return Lock(
        "SELECT FROM calendar WHERE doctor_id = (SELECT doctor_id FROM waitlist_offer"
        " WHERE entry_id = {0} AND status = 'open') FOR UPDATE;"
        "SELECT FROM waitlist_entry WHERE entry_id = {0} FOR UPDATE",
        entry_id,
    )


async def join_practice(
    tx: Transaction, wish: Wish, practice_id: UUID, visit_type_id: UUID | None
) -> asyncpg.Record:
    """Wait for a time at a practice. The account must be locked.

    Raises NotFound, InvalidField, AlreadyWaiting and TooManyEntries.
    """
    practice = await tx.one(FIND_PRACTICE, practice=practice_id, visit_type=visit_type_id)
    if practice is None:
        raise NotFound("There is no such practice or visit type.")
    place = dict(practice.items())
    return await _join(tx, wish, place.pop("time_zone"), **place, visit_type_id=visit_type_id)


async def join_specialty(tx: Transaction, wish: Wish, specialty: str, city: str) -> asyncpg.Record:
    """Wait for a time with any doctor of a specialty in a city, both slugs."""
    found = await reference.specialty_ids(tx, [specialty])
    place = await reference.city(tx, city)
    if specialty not in found:
        raise InvalidField("specialty", "must be the slug of a specialty")
    if place is None:
        raise InvalidField("city", "must be the slug of a city")
    ids = {"specialty_id": found[specialty], "city_id": place["city_id"]}
    return await _join(tx, wish, place["time_zone"], **ids)


async def find(tx: Transaction, entry_id: UUID) -> asyncpg.Record:
    """Read an entry of the caller or a dependant of theirs; NotFound for any other."""
    row = await tx.one(FIND, entry=entry_id)
    if row is None:
        raise NotFound("There is no such entry.")
    return row


async def set_status(tx: Transaction, entry_id: UUID, status: str) -> bool:
    """Let a live entry become `status`; say whether it did."""
    return await tx.run(SET_STATUS, entry=entry_id, wanted=status) > 0


async def of_account(
    tx: Transaction, *, ended: bool, after: tuple[datetime, UUID] | None, size: int
) -> list[asyncpg.Record]:
    """Read up to `size` entries of the caller and their dependants, the oldest first.

    With `ended` those that are over, too.
    """
    statement = _of_account(ended=ended, later_page=after is not None)
    return await tx.all(statement, size=size, **_keyset(after))


async def of_clinic(
    tx: Transaction, *, practice_id: UUID | None, after: tuple[datetime, UUID] | None, size: int
) -> list[asyncpg.Record]:
    """Read up to `size` live entries for the practices of the caller, the oldest first."""
    statement = _of_clinic(later_page=after is not None)
    return await tx.all(statement, practice=practice_id, size=size, **_keyset(after))


def record_read(tx: Transaction, rows: Sequence[asyncpg.Record]) -> None:
    """Record that the caller was shown who waits: one row for each clinic."""
    for clinic_id in sorted({row["wanted_clinic_id"] for row in rows}):
        patients = sorted({r["patient_id"] for r in rows if r["wanted_clinic_id"] == clinic_id})
        tx.record_read("waitlist.read", clinic_id, clinic_id=clinic_id, patients=patients)


async def _join(tx: Transaction, wish: Wish, zone: str, **place: UUID | None) -> asyncpg.Record:
    today = local_day(ZoneInfo(zone), tx.now)
    since = wish.from_date or today
    _check_dates(wish, since, today)
    counted = await tx.one(_COUNT, patient=wish.patient_id)
    if counted and counted["live"] >= MOST_LIVE:
        raise TooManyEntries
    columns: dict[str, Any] = dict.fromkeys(_COLUMNS) | place
    columns |= {
        "patient_id": wish.patient_id,
        "weekdays": sorted(wish.weekdays),
        "earliest_minute": wish.earliest,
        "latest_minute": wish.latest,
        "from_date": since,
        "until_date": wish.until_date,
    }
    once = {f"waitlist_entry_{what}_once": AlreadyWaiting for what in ("practice", "specialty")}
    with refusing(**once):
        row = await tx.one(_JOIN, **{f"v_{name}": value for name, value in columns.items()})
    if row is None:
        raise NotFound("There is no such patient.")
    tx.record(
        "waitlist.joined",
        row["entry_id"],
        clinic_id=columns["wanted_clinic_id"],
        fields=("status",),
        event={"practice_id": columns["wanted_practice_id"]},
    )
    return await find(tx, row["entry_id"])


def _check_dates(wish: Wish, since: date, today: date) -> None:
    """Refuse days that are over where the patient would go, or too far ahead."""
    if wish.earliest > wish.latest:
        raise InvalidField("latest", "must not be before the earliest start")
    if wish.until_date < max(since, today):
        raise InvalidField("until_date", "must be a day to come, not before from_date")
    if wish.until_date > today + LONGEST:
        raise InvalidField("until_date", "must be at most a year ahead")


@cache
def _of_account(*, ended: bool, later_page: bool) -> Statement:
    statement = ALL.where(OWN)
    return _page(statement if ended else statement.where(_LIVE_ENTRY), later_page)


@cache
def _of_clinic(*, later_page: bool) -> Statement:
    practice = bindparam("practice", type_=Uuid)
    wanted = or_(practice.is_(None), ENTRY.c.wanted_practice_id == practice)
    return _page(ALL.where(_OURS, _LIVE_ENTRY, wanted), later_page)


def _page(statement: Any, later_page: bool) -> Statement:
    if later_page:
        statement = statement.where(_KEY > _AFTER)
    ordered = statement.order_by(ENTRY.c.create_time, ENTRY.c.entry_id)
    return sql(ordered.limit(bindparam("size", type_=Integer)))


def _keyset(after: tuple[datetime, UUID] | None) -> dict[str, Any]:
    return {"after_time": after[0], "after_id": after[1]} if after else {}
