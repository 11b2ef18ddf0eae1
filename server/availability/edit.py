"""Reading and replacing a practice's hours."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import Uuid, any_, bindparam, delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert

from server.availability.hours import DAY, Hours, Rule, Span, Window, covered, local_day, spans
from server.availability.models import DateOverride, ExtraOpening, WeeklyRule
from server.availability.models import Hours as HoursRow
from server.availability.opening import extras_of, overrides_of, rules_of
from server.availability.schedule import hours_of
from server.availability.slots import MARGIN
from server.availability.stranded import Visit, coming, refuse
from server.core.db import Feed, Transaction, sql
from server.core.errors import InvalidField, NotFound
from server.directory import queries as directory

LAST_DAY = date(2200, 12, 31)


@dataclass(frozen=True)
class PracticeHours:
    """A practice's hours from `today` on; `revision` is 0 while they were never set."""

    practice_id: UUID
    clinic_id: UUID
    doctor_id: UUID
    hours: Hours
    today: date
    revision: int
    update_time: datetime | None


_PRACTICE = directory.practices()
_WANTED = bindparam("practice", type_=Uuid)
_FIND = sql(
    select(
        *_PRACTICE.c,
        HoursRow.revision,
        HoursRow.update_time,
        rules_of(_PRACTICE.c.practice_id).label("rules"),
        overrides_of(_PRACTICE.c.practice_id).label("overrides"),
        extras_of(_PRACTICE.c.practice_id).label("extras"),
    )
    .join_from(_PRACTICE, HoursRow, HoursRow.practice_id == _PRACTICE.c.practice_id, isouter=True)
    .where(
        or_(
            _PRACTICE.c.practice_id == _WANTED,
            _WANTED.is_(None) & (_PRACTICE.c.doctor_id == func.app_user()),
        ),
        or_(
            _PRACTICE.c.doctor_id == func.app_user(),
            _PRACTICE.c.clinic_id == any_(func.app_clinics()),
            _PRACTICE.c.clinic_id == any_(func.app_key_clinics("availability.read")),
        ),
    )
)
_RAISE_REVISION = sql(
    insert(HoursRow)
    .values(practice_id=bindparam("practice"), clinic_id=bindparam("clinic"))
    .on_conflict_do_update(
        index_elements=[HoursRow.practice_id],
        set_={"revision": HoursRow.revision + 1, "update_time": func.app_now()},
    )
    .returning(HoursRow.revision, HoursRow.update_time)
)
_CLEAR_RULES = sql(delete(WeeklyRule).where(WeeklyRule.practice_id == bindparam("practice")))
_CLEAR_OVERRIDES = sql(
    delete(DateOverride).where(
        DateOverride.practice_id == bindparam("practice"), DateOverride.day >= bindparam("today")
    )
)
_CLEAR_EXTRAS = sql(
    delete(ExtraOpening).where(
        ExtraOpening.practice_id == bindparam("practice"), ExtraOpening.day >= bindparam("today")
    )
)
_ADD_EXTRA = sql(
    insert(ExtraOpening).values(
        practice_id=bindparam("practice"),
        clinic_id=bindparam("clinic"),
        day=bindparam("opens"),
        start_minute=bindparam("start"),
        end_minute=bindparam("end"),
    )
)
_ADD_RULE = sql(
    insert(WeeklyRule).values(
        practice_id=bindparam("practice"),
        clinic_id=bindparam("clinic"),
        weekday=bindparam("weekday"),
        start_minute=bindparam("start"),
        end_minute=bindparam("end"),
        valid_from=bindparam("since"),
        valid_until=bindparam("until"),
    )
)
_ADD_OVERRIDE = sql(
    insert(DateOverride).values(
        practice_id=bindparam("practice"),
        clinic_id=bindparam("clinic"),
        day=bindparam("day"),
        starts=bindparam("starts"),
        ends=bindparam("ends"),
    )
)


async def find_hours(tx: Transaction, practice_id: UUID | None) -> PracticeHours:
    """Read the hours of a practice that the caller may edit; None is the caller's only one.

    Raises NotFound for another's practice, and InvalidField when the caller has several.
    """
    today = tx.now.date()
    rows = await tx.all(_FIND, practice=practice_id, first=today - DAY, last=LAST_DAY)
    if not rows:
        raise NotFound("There is no such practice.")
    if len(rows) > 1:
        raise InvalidField("practice_id", "is needed: you have several practices")
    return _practice_hours(rows[0], tx.now)


async def set_hours(
    tx: Transaction,
    old: PracticeHours,
    rules: tuple[Rule, ...],
    overrides: dict[date, tuple[Window, ...]],
    extras: tuple[tuple[date, Window], ...] = (),
    *,
    allow_stranded: bool,
) -> PracticeHours:
    """Replace the weekly rules, and what differs from today on. The calendar must be locked.

    Raises StrandsAppointments, and InvalidField for a day that is past.
    """
    new = changed(old, rules, overrides, extras)
    if not allow_stranded:
        visits = await would_strand(tx, old, new)
        refuse(visits, _cause(new.hours, visits))
    saved = await _save(tx, new)
    _record(tx, saved)
    return saved


def changed(
    old: PracticeHours,
    rules: tuple[Rule, ...],
    overrides: dict[date, tuple[Window, ...]],
    extras: tuple[tuple[date, Window], ...],
) -> PracticeHours:
    """Answer the hours as they would be; InvalidField for a day that is past."""
    _check_days("overrides", overrides, old.today)
    _check_days("extra_openings", (day for day, _ in extras), old.today)
    hours = replace(old.hours, rules=rules, overrides=overrides, extras=extras)
    return replace(old, hours=hours)


async def would_strand(tx: Transaction, old: PracticeHours, new: PracticeHours) -> list[Visit]:
    """Answer the visits to come that are inside the old hours and outside the new ones, by start.

    A visit that is outside the old ones already is not stranded by the change.
    """
    visits = await coming(tx, old.practice_id)
    stranded = set(outside(visits, new.hours)) - set(outside(visits, old.hours))
    return sorted(stranded, key=lambda visit: (visit.span, visit.appointment_id))


async def _save(tx: Transaction, new: PracticeHours) -> PracticeHours:
    where = {"practice": new.practice_id, "clinic": new.clinic_id}
    (row,) = await tx.all(_RAISE_REVISION, **where)
    await tx.run(_CLEAR_RULES, practice=new.practice_id)
    await tx.run(_CLEAR_OVERRIDES, practice=new.practice_id, today=new.today)
    await tx.run(_CLEAR_EXTRAS, practice=new.practice_id, today=new.today)
    await tx.many(_ADD_RULE, [where | _rule_values(rule) for rule in new.hours.rules])
    await tx.many(
        _ADD_OVERRIDE,
        [where | _override_values(*override) for override in new.hours.overrides.items()],
    )
    await tx.many(
        _ADD_EXTRA,
        [
            where | {"opens": day, "start": window.start, "end": window.end}
            for day, window in new.hours.extras
        ],
    )
    return replace(new, revision=row["revision"], update_time=row["update_time"])


def _rule_values(rule: Rule) -> dict[str, Any]:
    return {
        "weekday": rule.weekday,
        "start": rule.window.start,
        "end": rule.window.end,
        "since": rule.valid_from,
        "until": rule.valid_until,
    }


def _override_values(day: date, windows: Iterable[Window]) -> dict[str, Any]:
    starts, ends = zip(*windows, strict=True) if windows else ((), ())
    return {"day": day, "starts": starts, "ends": ends}


def _record(tx: Transaction, saved: PracticeHours) -> None:
    state = {
        "practice_id": saved.practice_id,
        "revision": saved.revision,
        "time_zone": saved.hours.zone.key,
        "rules": [list(_rule_values(rule).values()) for rule in saved.hours.rules],
        "overrides": [[day, windows] for day, windows in saved.hours.overrides.items()],
        "extra_openings": saved.hours.extras,
    }
    tx.record(
        "availability.set",
        saved.practice_id,
        clinic_id=saved.clinic_id,
        fields=("rules", "overrides", "extra_openings"),
        feed=Feed("hours", saved.practice_id, state),
    )


def outside(
    visits: Sequence[Visit], hours: Hours, taken: Callable[[Span], Span] = lambda span: span
) -> list[Visit]:
    """Answer those of the visits that are not inside the hours with all that each has `taken`."""
    if not visits:
        return []
    first = local_day(hours.zone, min(visit.span.start for visit in visits)) - MARGIN
    last = local_day(hours.zone, max(visit.span.end for visit in visits)) + MARGIN
    opened = spans(hours, first, last)
    return [visit for visit in visits if not covered(opened, taken(visit.span))]


def _cause(hours: Hours, visits: Sequence[Visit]) -> str:
    """Name what opens, or does not, on the day of the first of the visits."""
    days = (local_day(hours.zone, visit.span.start) for visit in visits[:1])
    overridden = list(hours.overrides)
    return next(
        (f"overrides[{overridden.index(day)}]" for day in days if day in overridden), "rules"
    )


def _check_days(field: str, days: Iterable[date], today: date) -> None:
    for index, day in enumerate(days):
        if day < today:
            raise InvalidField(f"{field}[{index}].date", "must be today or later")


def _practice_hours(row: asyncpg.Record, now: datetime) -> PracticeHours:
    hours = hours_of(row)
    today = local_day(hours.zone, now)
    coming = {day: windows for day, windows in hours.overrides.items() if day >= today}
    extras = tuple(extra for extra in hours.extras if extra[0] >= today)
    return PracticeHours(
        practice_id=UUID(int=row["practice_id"].int),
        clinic_id=UUID(int=row["clinic_id"].int),
        doctor_id=UUID(int=row["doctor_id"].int),
        hours=replace(hours, overrides=coming, extras=extras),
        today=today,
        revision=row["revision"] or 0,
        update_time=row["update_time"],
    )
