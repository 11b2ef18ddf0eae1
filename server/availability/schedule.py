"""Read what decides whether a time can be booked: one query, whatever the number of days."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import starmap
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
from sqlalchemy import (
    ARRAY,
    TIMESTAMP,
    Uuid,
    any_,
    bindparam,
    case,
    exists,
    func,
    literal,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by

from server.appointment import queries as appointment
from server.availability.holidays import Kept, closed_days
from server.availability.hours import DAY, Hours, Rule, Span, Window, local_day
from server.availability.models import (
    Claim,
    TimeOff,
    TravelTime,
)
from server.availability.opening import (
    YESTERDAY,
    closures_of,
    extras_of,
    holidays_of,
    overrides_of,
    rules_of,
)
from server.availability.slots import MARGIN, Booked, Limits, Schedule, Terms
from server.core.db import Reader, sql
from server.directory import queries as directory

WEEK = timedelta(days=7)
_PRACTICE, _VISIT = directory.practices(), directory.every_visit_type()
_INSTANT = TIMESTAMP(timezone=True)
_OWN_HOLD = appointment.own_holds()

_FROM, _TO = bindparam("starts_from", type_=_INSTANT), bindparam("starts_to", type_=_INSTANT)
_BEFORE = func.make_interval(0, 0, 0, 0, 0, _VISIT.c.buffer_before_minutes)
_AHEAD = func.make_interval(0, 0, 0, 0, 0, _VISIT.c.length_minutes + _VISIT.c.buffer_after_minutes)
# What a visit that starts from `starts_from` to `starts_to` would take with its buffers; the first
# condition is for the index: no claim is longer than the margin, no buffer than a day.
_IN_THE_WAY = (
    (Claim.start_time > _FROM - (MARGIN + DAY))
    & (Claim.start_time < _TO + _AHEAD)
    & (Claim.end_time > _FROM - _BEFORE)
)
_BUSY = (
    select(
        func.array_agg(aggregate_order_by(Claim.start_time, Claim.start_time)).label("starts"),
        func.array_agg(aggregate_order_by(Claim.end_time, Claim.start_time)).label("ends"),
    )
    .where(
        Claim.doctor_id == _PRACTICE.c.doctor_id,
        _IN_THE_WAY,
        or_(Claim.expire_time.is_(None), Claim.expire_time > func.app_now()),
        Claim.claim_id.is_distinct_from(bindparam("freed", None, type_=Uuid)),
        Claim.claim_id.not_in(select(_OWN_HOLD.c.claim_id)),
    )
    .lateral("busy")
)
_AWAY = (
    select(func.array_agg(func.row(TimeOff.start_time, TimeOff.end_time)))
    .where(
        TimeOff.doctor_id == _PRACTICE.c.doctor_id,
        or_(TimeOff.practice_id.is_(None), TimeOff.practice_id == _PRACTICE.c.practice_id),
        TimeOff.start_time < bindparam("until", type_=_INSTANT),
        TimeOff.end_time > bindparam("since", type_=_INSTANT),
    )
    .scalar_subquery()
)
_SINCE, _UNTIL = bindparam("since", type_=_INSTANT), bindparam("until", type_=_INSTANT)
_MOVED, _FREED = bindparam("moved", None, type_=Uuid), bindparam("freed", None, type_=Uuid)
_COUNTED = func.booked_times(
    _PRACTICE.c.practice_id, _VISIT.c.visit_type_id, _SINCE, _UNTIL, _MOVED
).table_valued("start_time", "end_time", "seats", "shared", name="counted")
_IS_COUNTED = or_(
    _VISIT.c.capacity > 1,
    func.num_nonnulls(
        _VISIT.c.day_visits, _VISIT.c.day_minutes, _VISIT.c.week_visits, _VISIT.c.week_minutes
    )
    > 0,
)
_BOOKED = case(
    (
        _IS_COUNTED,
        select(func.array_agg(func.row(*_COUNTED.c))).select_from(_COUNTED).scalar_subquery(),
    )
)
_ELSEWHERE = func.away_times(
    _PRACTICE.c.doctor_id, _PRACTICE.c.clinic_id, _SINCE, _UNTIL, _FREED
).table_valued("start_time", "end_time", name="elsewhere")
_IS_TRAVELLING = select(literal(1)).where(TravelTime.doctor_id == _PRACTICE.c.doctor_id).exists()
_TRAVEL = case(
    (
        _IS_TRAVELLING,
        select(func.array_agg(func.row(*_ELSEWHERE.c))).select_from(_ELSEWHERE).scalar_subquery(),
    )
)
_PROMISED = appointment.promises(_PRACTICE.c.practice_id, _VISIT.c.visit_type_id)
_WANTED_VISIT = bindparam("visit_type", type_=Uuid)
_WANTED_PRACTICE = bindparam("practice", type_=Uuid)
_READ = (
    select(
        *_PRACTICE.c,
        *(column for column in _VISIT.c if column.key != "practice_id"),
        rules_of(_PRACTICE.c.practice_id).label("rules"),
        overrides_of(_PRACTICE.c.practice_id).label("overrides"),
        extras_of(_PRACTICE.c.practice_id).label("extras"),
        closures_of(_PRACTICE.c.clinic_id).label("closures"),
        holidays_of(_PRACTICE.c.clinic_id).label("holidays"),
        YESTERDAY.label("yesterday"),
        _AWAY.label("away"),
        _TRAVEL.label("travel"),
        _BOOKED.label("booked"),
        _PROMISED.scalar_subquery().label("promised"),
        _BUSY.c.starts,
        _BUSY.c.ends,
    )
    .select_from(_PRACTICE.join(_VISIT, _VISIT.c.practice_id == _PRACTICE.c.practice_id))
    .join(_BUSY, true())
    .where(
        _PRACTICE.c.bookable,
        or_(~_VISIT.c.retired, _MOVED.is_not(None)),
        or_(_VISIT.c.visit_type_id == _WANTED_VISIT, _WANTED_VISIT.is_(None) & _VISIT.c.is_default),
    )
    .order_by(_PRACTICE.c.create_time, _PRACTICE.c.practice_id)
)
# Claims that can expire: an old one, a hold of the caller's own; or a live one, which is busy.
_EXPIRING = exists().where(
    Claim.doctor_id == _PRACTICE.c.doctor_id, _IN_THE_WAY, Claim.expire_time.is_not(None)
)
_AT_PRACTICE = _READ.where(_PRACTICE.c.practice_id == _WANTED_PRACTICE)
_OF_PRACTICE = sql(_AT_PRACTICE)
_OF_START = sql(_AT_PRACTICE.add_columns(_EXPIRING.label("expiring")))
_OF_DOCTOR = sql(
    _READ.where(
        _PRACTICE.c.doctor_id == bindparam("doctor"),
        or_(_PRACTICE.c.practice_id == _WANTED_PRACTICE, _WANTED_PRACTICE.is_(None)),
    )
)
_OF_DOCTORS = sql(
    _READ.where(_PRACTICE.c.doctor_id == any_(bindparam("doctors", type_=ARRAY(Uuid))))
)


@dataclass(frozen=True)
class Offer:
    """A visit type of a practice, its schedule, and what a booking copies from them.

    `expiring` says that a claim which can expire is in the way of the start that was asked for.
    """

    practice_id: UUID
    doctor_id: UUID
    clinic_id: UUID
    doctor_name: str
    clinic_name: str
    clinic_address: str
    visit_type_id: UUID
    visit_type_name: str
    price: Decimal
    currency_code: str
    follow_up_days: int
    follow_up_price: Decimal
    schedule: Schedule
    expiring: bool = False


async def of_start(
    reader: Reader,
    practice_id: UUID,
    visit_type_id: UUID | None,
    start: datetime,
    *,
    moved: UUID | None = None,
    freed: UUID | None = None,
) -> Offer | None:
    """Read a visit type, the default one for None; None when it cannot be booked at all.

    One that is retired can be had for a visit that is `moved`. Its schedule is that of the local
    day of `start`, and of taken time it has only what is in the way of a visit then.
    """
    day = start.date()  # the zone is not known before
    bounds = _bounds(day - DAY, day + DAY) | {"starts_from": start, "starts_to": start}
    row = await reader.one(
        _OF_START,
        practice=practice_id,
        visit_type=visit_type_id,
        moved=moved,
        freed=freed,
        **bounds,
    )
    if row is None:
        return None
    day = local_day(ZoneInfo(row["time_zone"]), start)
    return replace(_offer(row, day, day), expiring=row["expiring"])


async def of_practice(
    reader: Reader, practice_id: UUID, visit_type_id: UUID | None, first: date, last: date
) -> Offer | None:
    """Read a visit type, the default one for None; None when it cannot be booked at all."""
    row = await reader.one(
        _OF_PRACTICE, practice=practice_id, visit_type=visit_type_id, **_bounds(first, last)
    )
    return _offer(row, first, last) if row else None


async def of_doctor(
    reader: Reader,
    doctor_id: UUID,
    first: date,
    last: date,
    *,
    practice_id: UUID | None = None,
    visit_type_id: UUID | None = None,
) -> list[Offer]:
    """Read one visit type of each of a doctor's practices, the oldest practice first."""
    rows = await reader.all(
        _OF_DOCTOR,
        doctor=doctor_id,
        practice=practice_id,
        visit_type=visit_type_id,
        **_bounds(first, last),
    )
    return [_offer(row, first, last) for row in rows]


async def of_doctors(
    reader: Reader, doctor_ids: Sequence[UUID], first: date, last: date
) -> list[Offer]:
    """Read the default visit type of every practice of many doctors, in one query."""
    rows = await reader.all(
        _OF_DOCTORS, doctors=doctor_ids, visit_type=None, **_bounds(first, last)
    )
    return [_offer(row, first, last) for row in rows]


def hours_of(row: asyncpg.Record) -> Hours:
    """Read the hours from a row with time_zone, rules and overrides."""
    return Hours(
        ZoneInfo(row["time_zone"]),
        tuple(_rule(*values) for values in row["rules"] or ()),
        {
            date.fromisoformat(day): tuple(map(Window, starts, ends))
            for day, starts, ends in row["overrides"] or ()
        },
        tuple(
            (date.fromisoformat(day), Window(start, end)) for day, start, end in row["extras"] or ()
        ),
    )


def closed_of(row: asyncpg.Record, first: date, last: date) -> tuple[tuple[date, date], ...]:
    """Read when a clinic is closed, from a row with its closures and holidays.

    Where the horizon counts business days, also from now to the first day.
    """
    found = [(since, until) for since, until in row["closures"] or ()]
    if row["holidays"]:
        since = min(first - MARGIN, row["yesterday"]) if row["business_days"] else first - MARGIN
        found += [(day, day) for day in closed_days(Kept(*row["holidays"]), since, last + MARGIN)]
    return tuple(found)


def _bounds(first: date, last: date) -> dict[str, Any]:
    """Answer the days whose hours can matter, and the instants whose claims and visits can.

    Visits count in whole local weeks.
    """
    return {
        "first": first - MARGIN,
        "last": last + MARGIN,
        "since": datetime.combine(first - WEEK - DAY, time(), UTC),
        "until": datetime.combine(last + WEEK + 2 * DAY, time(), UTC),
        "starts_from": datetime.combine(first - DAY, time(), UTC),
        "starts_to": datetime.combine(last + 2 * DAY, time(), UTC),
    }


def _offer(row: asyncpg.Record, first: date, last: date) -> Offer:
    busy: Iterable[Span] = map(Span, row["starts"] or (), row["ends"] or ())
    return Offer(
        practice_id=row["practice_id"],
        doctor_id=row["doctor_id"],
        clinic_id=row["clinic_id"],
        doctor_name=row["doctor_name"],
        clinic_name=row["clinic_name"],
        clinic_address=row["clinic_address"],
        visit_type_id=row["visit_type_id"],
        visit_type_name=row["visit_type_name"],
        price=row["price"],
        currency_code=row["currency_code"],
        follow_up_days=row["follow_up_days"],
        follow_up_price=row["follow_up_price"],
        schedule=Schedule(
            hours_of(row),
            _terms(row),
            tuple(busy),
            first,
            last,
            closed=closed_of(row, first, last),
            away=tuple(starmap(Span, row["away"] or ())),
            travel=tuple(starmap(Span, row["travel"] or ())),
            booked=tuple(starmap(Booked, row["booked"] or ())),
            promised=dict(row["promised"] or ()),
        ),
    )


def _terms(row: asyncpg.Record) -> Terms:
    return Terms(
        length=row["length_minutes"],
        before=row["buffer_before_minutes"],
        after=row["buffer_after_minutes"],
        interval=row["interval_minutes"],
        offset=row["offset_minutes"],
        notice=row["notice_minutes"],
        horizon=row["horizon_days"],
        from_opening=row["from_opening"],
        business_days=row["business_days"],
        capacity=row["capacity"],
        limits=Limits(
            row["day_visits"], row["day_minutes"], row["week_visits"], row["week_minutes"]
        ),
    )


def _rule(weekday: int, start: int, end: int, since: str | None, until: str | None) -> Rule:
    return Rule(weekday, Window(start, end), _day(since), _day(until))


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
