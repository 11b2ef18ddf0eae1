"""Several visits at once: of a family, or week by week; all or none."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
from sqlalchemy import Uuid, any_, bindparam, select
from sqlalchemy.dialects.postgresql import ARRAY

from server.appointment.booking import book
from server.appointment.refusals import NotBookable
from server.availability.hours import instant
from server.availability.slots import Refusal
from server.core.db import Lock, Transaction, sql
from server.core.errors import Error, FieldError, NotFound
from server.core.ids import new_id
from server.directory import queries as directory

WEEK = timedelta(weeks=1)

_PRACTICE = directory.practices()
_PRACTICES = sql(
    select(_PRACTICE.c.practice_id, _PRACTICE.c.doctor_id, _PRACTICE.c.time_zone).where(
        _PRACTICE.c.practice_id == any_(bindparam("practices", type_=ARRAY(Uuid)))
    )
)


class Wanted(NamedTuple):
    """One of the visits; `visit_type_id` None is the practice's default one."""

    practice_id: UUID
    visit_type_id: UUID | None
    start: datetime
    patient_id: UUID
    reason: str


def lock(practice_ids: Sequence[UUID]) -> Lock:
    """Lock the calendars of the doctors of practices, in the order of their ids."""
    places = ", ".join(["{}"] * len(practice_ids))
    return Lock(
        "SELECT FROM calendar WHERE doctor_id IN (SELECT doctor_id FROM practice"  # noqa: S608
        f" WHERE practice_id IN ({places})) ORDER BY doctor_id FOR UPDATE",
        *practice_ids,
    )


async def book_all(tx: Transaction, wanted: Sequence[Wanted], **more: Any) -> list[asyncpg.Record]:
    """Book all of them, under `lock`, and answer them in the same order.

    Times are taken in the order of doctor and start. Raises what `book` raises, with the place of
    the visit as `visit` in the metadata and in the paths of the fields.
    """
    practices = await _find(tx, wanted)
    rows: dict[int, asyncpg.Record] = {}
    for place in sorted(range(len(wanted)), key=lambda place: _turn(practices, wanted[place])):
        each = wanted[place]._asdict()
        try:
            rows[place] = await book(tx, each.pop("patient_id"), **each, **more)
        except Error as refusal:
            raise _placed(refusal, place) from None
    return [rows[place] for place in range(len(wanted))]


async def book_series(
    tx: Transaction, first: Wanted, *, weeks: int, count: int
) -> list[asyncpg.Record]:
    """Book `count` visits at the local time of the first, every so many weeks; under `lock`."""
    practice = (await _find(tx, [first]))[first.practice_id]
    zone = ZoneInfo(practice["time_zone"])
    visits = [first._replace(start=start) for start in _weekly(zone, first.start, weeks, count)]
    try:
        _check_clock(zone, visits)
        return await book_all(tx, visits, series_id=new_id(tx.now))
    except Error as refusal:
        start = visits[int(refusal.metadata["visit"])].start
        refusal.metadata["start_time"] = start.astimezone(zone).isoformat()
        raise


async def _find(tx: Transaction, wanted: Sequence[Wanted]) -> dict[UUID, asyncpg.Record]:
    rows = await tx.all(_PRACTICES, practices=[each.practice_id for each in wanted])
    found = {UUID(int=row["practice_id"].int): row for row in rows}
    for place, each in enumerate(wanted):
        if each.practice_id not in found:
            raise _placed(NotFound("There is no such practice or visit type."), place)
    return found


def _check_clock(zone: ZoneInfo, visits: Sequence[Wanted]) -> None:
    """Refuse a series one of whose local times the clocks jump over."""
    times = [visit.start.astimezone(zone).time() for visit in visits]
    for place, time in enumerate(times):
        if time != times[0]:
            raise _placed(NotBookable(Refusal.OFF_GRID), place)


def _placed(refusal: Error, place: int) -> Error:
    """Say in a refusal which of the visits it is about."""
    refusal.metadata["visit"] = str(place)
    refusal.fields = tuple(
        FieldError(f"visits[{place}].{path}", rule) for path, rule in refusal.fields
    ) or (FieldError(f"visits[{place}]", refusal.message),)
    return refusal


def _turn(practices: dict[UUID, asyncpg.Record], visit: Wanted) -> tuple[UUID, datetime]:
    return practices[visit.practice_id]["doctor_id"], visit.start


def _weekly(zone: ZoneInfo, first: datetime, weeks: int, count: int) -> Iterator[datetime]:
    yield first
    local = first.astimezone(zone).replace(tzinfo=None)
    for number in range(1, count):
        yield instant(zone, local + number * weeks * WEEK)
