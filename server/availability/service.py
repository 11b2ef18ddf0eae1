"""Free times, and taking them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import islice
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import CTE, TIMESTAMP, Uuid, bindparam, delete, func, literal, select
from sqlalchemy.dialects.postgresql import insert

from server.availability import schedule as schedules
from server.availability.hours import DAY, local_day
from server.availability.models import Calendar, Claim
from server.availability.schedule import Offer
from server.availability.slots import MARGIN, offered
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
    reader: Reader, practice_id: UUID, visit_type_id: UUID | None, start: datetime
) -> Offer:
    """Read what decides whether `start` can be booked; NotFound for an unknown practice or type.

    Its schedule has the days around `start`, since the zone is not known before.
    """
    day = start.date()
    offer = await schedules.of_practice(reader, practice_id, visit_type_id, day - DAY, day + DAY)
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


def claim(prefix: str = "claimed") -> CTE:
    """Take time, as part of a statement of the caller's: removes expired claims in the way, first.

    Its parameters are `claim_id`, `claim_doctor`, `claim_start`, `claim_end`, `claim_kind` and
    `claim_expire`; a taken time violates the constraint `claim_overlap`.
    """
    owner = bindparam("claim_doctor", type_=Uuid)
    start = bindparam("claim_start", type_=TIMESTAMP(timezone=True))
    end = bindparam("claim_end", type_=TIMESTAMP(timezone=True))
    expired = (
        delete(Claim)
        .where(
            Claim.doctor_id == owner,
            Claim.start_time > start - timedelta(days=MARGIN.days),
            Claim.start_time < end,
            Claim.end_time > start,
            Claim.expire_time <= func.app_now(),
        )
        .returning(Claim.claim_id)
        .cte(f"{prefix}_expired")
    )
    # Reading the count makes the deletion come first.
    gone = select(func.count().label("n")).select_from(expired).subquery()
    columns = ("claim_id", "doctor_id", "start_time", "end_time", "kind", "expire_time")
    values = select(
        bindparam("claim_id", type_=Uuid),
        owner,
        start,
        end,
        bindparam("claim_kind", type_=Claim.kind.type),
        bindparam("claim_expire", type_=TIMESTAMP(timezone=True)),
    ).where(gone.c.n >= 0)
    return insert(Claim).from_select(columns, values).returning(Claim.claim_id).cte(prefix)


def release(claim_ids: CTE, name: str = "released") -> CTE:
    """Free the time of the claims whose ids are the first column of `claim_ids`."""
    ids = select(next(iter(claim_ids.c)))
    return delete(Claim).where(Claim.claim_id.in_(ids)).returning(Claim.claim_id).cte(name)


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
