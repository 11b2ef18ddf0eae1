"""When a clinic is closed: closures and public holidays."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from asyncpg import Record
from sqlalchemy import any_, bindparam, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from server.availability import holidays, stranded
from server.availability.holidays import Kept
from server.availability.hours import DAY, Span, instant, local_day
from server.availability.models import Closure, PublicHolidays
from server.availability.stranded import Visit
from server.core.db import Feed, Lock, Transaction, sql
from server.core.errors import InvalidField, NotFound
from server.directory import queries as directory
from server.directory.keyset import Listing

LONGEST = timedelta(days=366)
CHECKED = 2 * 366 * DAY  # farther ahead than visits can be booked, in business days too

_CLOSURE = (
    Closure.closure_id,
    Closure.clinic_id,
    Closure.first_day,
    Closure.last_day,
    Closure.name,
)
_CLINIC = directory.clinics()
_ONE_CLINIC = select(*_CLINIC.c).where(_CLINIC.c.clinic_id == bindparam("clinic"))
_SEEN = sql(_ONE_CLINIC.where(_CLINIC.c.clinic_id == any_(func.app_memberships())))
_EDITED = sql(_ONE_CLINIC.where(_CLINIC.c.clinic_id == any_(func.app_clinics())))
_ADD_CLOSURE = sql(
    insert(Closure)
    .values(
        clinic_id=bindparam("clinic"),
        first_day=bindparam("first"),
        last_day=bindparam("last"),
        name=bindparam("what"),
    )
    .returning(*_CLOSURE)
)
_REMOVE_CLOSURE = sql(
    delete(Closure)
    .where(Closure.closure_id == bindparam("id"), Closure.clinic_id == bindparam("clinic"))
    .returning(*_CLOSURE)
)
_CLOSURES_OF = Listing(
    select(*_CLOSURE).where(
        Closure.clinic_id == bindparam("clinic"), Closure.last_day >= bindparam("today")
    ),
    Closure.first_day,
    Closure.closure_id,
)
_KEPT = (
    PublicHolidays.observed,
    PublicHolidays.country_code,
    PublicHolidays.subdivision,
    PublicHolidays.open_on,
)
_HOLIDAYS_OF = sql(
    select(*_KEPT, PublicHolidays.revision).where(PublicHolidays.clinic_id == bindparam("clinic"))
)
_NEW: dict[str, Any] = {column.key: bindparam(f"new_{column.key}") for column in _KEPT}
_SET_HOLIDAYS = sql(
    insert(PublicHolidays)
    .values(clinic_id=bindparam("clinic"), **_NEW)
    .on_conflict_do_update(
        index_elements=[PublicHolidays.clinic_id],
        set_={
            **_NEW,
            "revision": PublicHolidays.revision + 1,
            "update_time": func.app_now(),
        },
    )
    .returning(PublicHolidays.revision)
)


def lock_clinic(clinic_id: UUID) -> Lock:
    """Lock the calendars of all doctors of a clinic, in the order of their ids."""
    return Lock(
        "SELECT FROM calendar WHERE doctor_id IN (SELECT doctor_id FROM practice"
        " WHERE clinic_id = {}) ORDER BY doctor_id FOR UPDATE",
        clinic_id,
    )


def lock_clinic_of(practice_id: UUID) -> Lock:
    """Lock those of the practice's clinic."""
    return Lock(
        "SELECT FROM calendar WHERE doctor_id IN (SELECT p.doctor_id FROM practice p"
        " JOIN practice o USING (clinic_id) WHERE o.practice_id = {})"
        " ORDER BY doctor_id FOR UPDATE",
        practice_id,
    )


async def add_closure(
    tx: Transaction,
    clinic_id: UUID,
    first: date,
    last: date,
    *,
    name: str,
    allow_stranded: bool,
) -> Record:
    """Close a clinic on local days, both included; its calendars must be locked.

    Raises NotFound, InvalidField and StrandsAppointments.
    """
    clinic = await _clinic(tx, clinic_id)
    _check_days(first, last, local_day(ZoneInfo(clinic["time_zone"]), tx.now))
    if not allow_stranded:
        stranded.refuse(await _closed_on(tx, clinic, first, last), "first_date")
    row = await tx.one(_ADD_CLOSURE, clinic=clinic_id, first=first, last=last, what=name.strip())
    assert row is not None  # noqa: S101 - an INSERT of one row
    _record_closure(tx, "closure.added", row, {"first_day": first, "last_day": last})
    return row


async def remove_closure(tx: Transaction, clinic_id: UUID, closure_id: UUID) -> None:
    """Open a clinic again; its calendars must be locked. Raises NotFound."""
    await _clinic(tx, clinic_id)
    row = await tx.one(_REMOVE_CLOSURE, id=closure_id, clinic=clinic_id)
    if row is None:
        raise NotFound("There is no such closure.")
    _record_closure(tx, "closure.removed", row, None)


async def closures(
    tx: Transaction, clinic_id: UUID, *, after: Sequence[Any] | None, limit: int
) -> list[Record]:
    """Answer a page of the closures that are not over, by first day. Raises NotFound."""
    clinic = await _clinic(tx, clinic_id, edit=False)
    today = local_day(ZoneInfo(clinic["time_zone"]), tx.now)
    return await _CLOSURES_OF.page(tx, clinic=clinic_id, today=today, after=after, limit=limit)


async def public_holidays(tx: Transaction, clinic_id: UUID) -> tuple[Kept, int, date]:
    """Read which public holidays a clinic keeps, its revision (0: never set), and today there."""
    clinic = await _clinic(tx, clinic_id, edit=False)
    today = local_day(ZoneInfo(clinic["time_zone"]), tx.now)
    row = await tx.one(_HOLIDAYS_OF, clinic=clinic_id)
    if row is None:
        return Kept(observed=False, country_code=clinic["country_code"], subdivision=""), 0, today
    observed, country, subdivision, open_on, revision = row
    return Kept(observed, country, subdivision, tuple(open_on)), revision, today


async def set_public_holidays(
    tx: Transaction, clinic_id: UUID, wanted: Kept, *, allow_stranded: bool
) -> tuple[Kept, int]:
    """Say which public holidays a clinic keeps; its calendars must be locked.

    An empty country is the clinic's own. Answers what was saved and its revision. Raises NotFound,
    InvalidField and StrandsAppointments.
    """
    clinic = await _clinic(tx, clinic_id)
    kept = wanted._replace(country_code=wanted.country_code or clinic["country_code"])
    holidays.check(kept, tx.now.year)
    if not allow_stranded:
        stranded.refuse(await _closed_by(tx, clinic, kept), "observed")
    new = {f"new_{name}": value for name, value in kept._asdict().items()}
    row = await tx.one(_SET_HOLIDAYS, clinic=clinic_id, **new)
    assert row is not None  # noqa: S101 - an INSERT of one row
    feed = Feed("public_holidays", clinic_id, kept._asdict())
    tx.record("public_holidays.set", clinic_id, clinic_id=clinic_id, fields=kept._fields, feed=feed)
    return kept, row["revision"]


async def _closed_on(tx: Transaction, clinic: Record, first: date, last: date) -> list[Visit]:
    """Answer the visits that are booked on these local days."""
    days = [_days(ZoneInfo(clinic["time_zone"]), first, last)]
    return await stranded.between(tx, days, clinic=clinic["clinic_id"])


async def _closed_by(tx: Transaction, clinic: Record, kept: Kept) -> list[Visit]:
    """Answer the visits that are booked on days that were open until now."""
    zone = ZoneInfo(clinic["time_zone"])
    old, _, today = await public_holidays(tx, clinic["clinic_id"])
    before = set(holidays.closed_days(old, today, today + CHECKED))
    closed = set(holidays.closed_days(kept, today, today + CHECKED)) - before
    spans = [_days(zone, day, day) for day in closed]
    return await stranded.between(tx, spans, clinic=clinic["clinic_id"])


async def _clinic(tx: Transaction, clinic_id: UUID, *, edit: bool = True) -> Record:
    row = await tx.one(_EDITED if edit else _SEEN, clinic=clinic_id)
    if row is None:
        raise NotFound("There is no such clinic.")
    return row


def _days(zone: ZoneInfo, first: date, last: date) -> Span:
    begin, end = (datetime.combine(day, datetime.min.time()) for day in (first, last + DAY))
    return Span(instant(zone, begin), instant(zone, end))


def _check_days(first: date, last: date, today: date) -> None:
    if last < first:
        raise InvalidField("last_date", "must not be before first_date")
    if last < today:
        raise InvalidField("last_date", "must be today or later")
    if last - first > LONGEST:
        raise InvalidField("last_date", "must be at most 366 days after first_date")


def _record_closure(
    tx: Transaction, action: str, row: Record, state: Mapping[str, Any] | None
) -> None:
    closure_id = row["closure_id"]
    feed = Feed("closure", closure_id, state)
    fields: Iterable[str] = ("first_day", "last_day", "name")
    tx.record(action, closure_id, clinic_id=row["clinic_id"], fields=tuple(fields), feed=feed)
