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
from server.availability.hours import instant
from server.core.db import Lock, Transaction, sql
from server.core.errors import Error, NotFound
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
    the visit as `visit` in the metadata.
    """
    practices = await _find(tx, [each.practice_id for each in wanted])
    rows: dict[int, asyncpg.Record] = {}
    for place in sorted(range(len(wanted)), key=lambda place: _turn(practices, wanted[place])):
        each = wanted[place]._asdict()
        try:
            rows[place] = await book(tx, each.pop("patient_id"), **each, **more)
        except Error as refusal:
            refusal.metadata["visit"] = str(place)
            raise
    return [rows[place] for place in range(len(wanted))]


async def book_series(
    tx: Transaction, first: Wanted, *, weeks: int, count: int
) -> list[asyncpg.Record]:
    """Book `count` visits at the local time of the first, every so many weeks; under `lock`."""
    practice = (await _find(tx, [first.practice_id]))[first.practice_id]
    starts = _weekly(ZoneInfo(practice["time_zone"]), first.start, weeks, count)
    visits = [first._replace(start=start) for start in starts]
    return await book_all(tx, visits, series_id=new_id(tx.now))


async def _find(tx: Transaction, practice_ids: Sequence[UUID]) -> dict[UUID, asyncpg.Record]:
    rows = await tx.all(_PRACTICES, practices=list(practice_ids))
    found = {UUID(int=row["practice_id"].int): row for row in rows}
    if not found.keys() >= set(practice_ids):
        raise NotFound("There is no such practice or visit type.")
    return found


def _turn(practices: dict[UUID, asyncpg.Record], visit: Wanted) -> tuple[UUID, datetime]:
    return practices[visit.practice_id]["doctor_id"], visit.start


def _weekly(zone: ZoneInfo, first: datetime, weeks: int, count: int) -> Iterator[datetime]:
    yield first
    local = first.astimezone(zone).replace(tzinfo=None)
    for number in range(1, count):
        yield instant(zone, local + number * weeks * WEEK)
