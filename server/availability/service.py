"""Free times, and taking them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from itertools import islice
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, literal, select
from sqlalchemy.dialects.postgresql import insert

from server.availability import schedule as schedules
from server.availability.hours import DAY, local_day
from server.availability.models import Calendar
from server.availability.schedule import Offer
from server.availability.slots import offered
from server.core.access import Caller
from server.core.db import Lock, Reader, Transaction, sql
from server.core.errors import NotFound, TooLarge, Unauthenticated
from server.directory import queries as directory

DEFAULT_DAYS = 7
LONGEST_HORIZON = 366
MOST_SLOTS = 10_000

_OPEN = sql(insert(Calendar).values(doctor_id=bindparam("doctor_id")).on_conflict_do_nothing())
_VERIFIED = directory.verified_doctors()
_IS_VERIFIED = sql(select(literal(1)).where(_VERIFIED.c.doctor_id == bindparam("doctor")))


class DaySlots(NamedTuple):
    """The free starts of a practice on one local day, in order."""

    offer: Offer
    day: date
    starts: list[datetime]


async def open_calendar(tx: Transaction, doctor_id: UUID) -> None:
    """Give a new doctor the calendar row that every change of their time locks."""
    await tx.run(_OPEN, doctor_id=doctor_id)


def lock_by_practice(practice_id: UUID) -> Lock:
    """Lock the calendar of the doctor of a practice."""
    return Lock(
        "SELECT FROM calendar WHERE doctor_id ="
        " (SELECT doctor_id FROM practice WHERE practice_id = {}) FOR UPDATE",
        practice_id,
    )


def lock_to_edit(practice_id: UUID | None, caller: Caller) -> Lock:
    """Lock the calendar whose hours are edited: that of the practice, or the caller's own."""
    if practice_id:
        return lock_by_practice(practice_id)
    if caller.user_id is None:
        raise Unauthenticated
    return Lock("SELECT FROM calendar WHERE doctor_id = {} FOR UPDATE", caller.user_id)


async def find_offer(
    reader: Reader,
    practice_id: UUID,
    visit_type_id: UUID | None,
    start: datetime,
    *,
    moved: UUID | None = None,
    freed: UUID | None = None,
) -> Offer:
    """Read what decides whether `start` can be booked; NotFound for an unknown practice or type.

    The visit `moved` does not count, and the time of its claim is free, which is `freed` if it has
    another id.
    """
    offer = await schedules.of_start(
        reader, practice_id, visit_type_id, start, moved=moved, freed=freed or moved
    )
    if offer is None:
        raise NotFound("There is no such practice or visit type.")
    return offer


async def free_slots(
    reader: Reader,
    now: datetime,
    doctor_id: UUID,
    *,
    practice_id: UUID | None = None,
    visit_type_id: UUID | None = None,
    first: date | None = None,
    days: int = DEFAULT_DAYS,
) -> list[DaySlots]:
    """Compute a verified doctor's free starts by practice and day; days without any are left out.

    `first` None is today at each clinic. Raises TooLarge for more than MOST_SLOTS starts.
    """
    around = (first, first) if first else (now.date() - DAY, now.date() + DAY)
    offers = await schedules.of_doctor(
        reader,
        doctor_id,
        around[0],
        around[1] + days * DAY,
        practice_id=practice_id,
        visit_type_id=visit_type_id,
    )
    if not offers:
        await _check_known(reader, doctor_id, narrowed=bool(practice_id or visit_type_id))
    return _listed([_from(offer, first, days, now) for offer in offers], now)


async def next_free(reader: Reader, doctor_id: UUID, now: datetime) -> dict[UUID, datetime]:
    """Find the first free start at each of a doctor's practices; one that has none is left out."""
    today = now.date()
    offers = await schedules.of_doctor(
        reader, doctor_id, today - DAY, today + LONGEST_HORIZON * DAY
    )
    firsts = ((offer.practice_id, next(offered(offer.schedule, now), None)) for offer in offers)
    return {practice_id: start for practice_id, start in firsts if start}


async def next_free_of(
    reader: Reader, doctor_ids: Sequence[UUID], now: datetime, days: int
) -> dict[UUID, datetime]:
    """Find the first free start of each of many doctors within `days`; who has none is left out."""
    today = now.date()
    offers = await schedules.of_doctors(reader, doctor_ids, today - DAY, today + days * DAY)
    found: dict[UUID, datetime] = {}
    for offer in offers:
        start = next(offered(offer.schedule, now), None)
        if start:
            found[offer.doctor_id] = min(start, found.get(offer.doctor_id, start))
    return found


def _from(offer: Offer, first: date | None, days: int, now: datetime) -> Offer:
    """Cut the offer's schedule to `days` local days, from today there when `first` is None."""
    start = first or local_day(offer.schedule.zone, now)
    return replace(
        offer, schedule=replace(offer.schedule, first=start, last=start + (days - 1) * DAY)
    )


def _listed(offers: Sequence[Offer], now: datetime) -> list[DaySlots]:
    found: list[DaySlots] = []
    left = MOST_SLOTS
    for offer in offers:
        starts = list(islice(offered(offer.schedule, now), left + 1))
        left -= len(starts)
        if left < 0:
            raise TooLarge
        found += _by_day(offer, starts)
    return found


def _by_day(offer: Offer, starts: Iterable[datetime]) -> Iterator[DaySlots]:
    found: dict[date, list[datetime]] = {}
    for start in starts:
        found.setdefault(local_day(offer.schedule.zone, start), []).append(start)
    return (DaySlots(offer, day, on_day) for day, on_day in found.items())


async def _check_known(reader: Reader, doctor_id: UUID, *, narrowed: bool) -> None:
    if narrowed or not await reader.one(_IS_VERIFIED, doctor=doctor_id):
        raise NotFound("There is no such doctor, practice or visit type.")
