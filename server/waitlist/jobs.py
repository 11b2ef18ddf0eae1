"""The worker's part: free times are offered, unanswered offers lapse, old entries end.

What comes free marks its practices as due; so does a sweep once a minute, for all that frees time
without saying so. Each turn makes one offer, under the lock of the doctor's calendar.
"""

from contextlib import suppress
from datetime import date, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import Integer, Uuid, any_, bindparam, delete, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert

from server.appointment import queries as appointment
from server.availability import service as availability
from server.core.db import Database, Transaction, sql
from server.core.errors import NotFound
from server.core.jobs import Job
from server.directory import queries as directory
from server.patient import queries as patients
from server.waitlist import entries, offers
from server.waitlist.matching import Free, first_fit
from server.waitlist.models import WaitlistDue, WaitlistEntry, WaitlistOffer

# Names of the jobs; the audit has them in place of a request.
OFFER, LAPSE_OFFERS, SWEEP = "waitlist_offer", "waitlist_lapse", "waitlist_sweep"
BATCH = 100
MOST_ASKED = 1000
MOST_DAYS = 366
DAY = timedelta(days=1)
PATIENCE = timedelta(minutes=1)

_FIELD = directory.fields()
_IN_FIELD = (_FIELD.c.specialty_id == WaitlistEntry.specialty_id) & (
    _FIELD.c.city_id == WaitlistEntry.city_id
)
_WAITS = WaitlistEntry.status == "waiting"
_NAMED = select(WaitlistEntry.wanted_practice_id).where(
    _WAITS, WaitlistEntry.wanted_practice_id.is_not(None)
)
_OPEN = select(_FIELD.c.practice_id).join(WaitlistEntry, _IN_FIELD).where(_WAITS)


def _mark(named: Any, of_field: Any) -> Any:
    """Compile a statement that makes the selected practices due."""
    into = insert(WaitlistDue).from_select(["practice_id"], named.union(of_field))
    return sql(into.on_conflict_do_nothing())


MARK_ALL = _mark(_NAMED, _OPEN)
MARK_DOCTOR = _mark(
    _NAMED.where(WaitlistEntry.wanted_doctor_id == bindparam("doctor")),
    _OPEN.where(_FIELD.c.doctor_id == bindparam("doctor")),
)
MARK_ENTRY = _mark(
    _NAMED.where(WaitlistEntry.entry_id == bindparam("entry")),
    _OPEN.where(WaitlistEntry.entry_id == bindparam("entry")),
)
NEXT_DUE = sql(
    select(WaitlistDue.practice_id)
    .where(WaitlistDue.due_time <= bindparam("now"))
    .order_by(WaitlistDue.due_time)
    .limit(1)
)
TAKE_DUE = sql(delete(WaitlistDue).where(WaitlistDue.practice_id == bindparam("practice")))
PUT_OFF = sql(
    update(WaitlistDue)
    .where(WaitlistDue.practice_id == bindparam("practice"))
    .values(due_time=bindparam("later"))
)
MARK = sql(insert(WaitlistDue).values(practice_id=bindparam("practice")).on_conflict_do_nothing())

_VISIT = appointment.coming_visits()
_OFFERED = (
    select(func.array_agg(WaitlistOffer.start_time))
    .where(
        WaitlistOffer.entry_id == WaitlistEntry.entry_id,
        WaitlistOffer.practice_id == bindparam("practice"),
    )
    .scalar_subquery()
)


def _visits(column: Any) -> Any:
    """Select one side of the coming visits of who waits, as an array."""
    ordered = func.array_agg(column)
    return select(ordered).where(_VISIT.c.patient_id == WaitlistEntry.patient_id).scalar_subquery()


_WHO = patients.patients()
# Of a start with several seats the account may hold one already, which another would replace.
_HOLD = appointment.live_holds()
_HELD = (
    select(func.array_agg(_HOLD.c.start_time))
    .where(_HOLD.c.holder_id == _WHO.c.account_id, _HOLD.c.practice_id == bindparam("practice"))
    .scalar_subquery()
)
WAITING = sql(
    select(
        WaitlistEntry.entry_id,
        WaitlistEntry.patient_id,
        _WHO.c.account_id,
        WaitlistEntry.visit_type_id,
        WaitlistEntry.weekdays,
        WaitlistEntry.earliest_minute,
        WaitlistEntry.latest_minute,
        WaitlistEntry.from_date,
        WaitlistEntry.until_date,
        _OFFERED.label("offered"),
        _HELD.label("held"),
        _visits(_VISIT.c.start_time).label("busy_starts"),
        _visits(_VISIT.c.end_time).label("busy_ends"),
    )
    .join(_WHO, _WHO.c.patient_id == WaitlistEntry.patient_id)
    .where(
        _WAITS,
        _WHO.c.end_time.is_(None),
        or_(
            WaitlistEntry.wanted_practice_id == bindparam("practice"),
            select(_FIELD.c.practice_id)
            .where(_FIELD.c.practice_id == bindparam("practice"), _IN_FIELD)
            .exists(),
        ),
    )
    .order_by(WaitlistEntry.create_time, WaitlistEntry.entry_id)
    .limit(bindparam("limit", type_=Integer))
    .offset(bindparam("place", type_=Integer))
)
_IDS = any_(bindparam("ids", type_=ARRAY(Uuid)))
OVERDUE = sql(
    select(
        WaitlistOffer.offer_id,
        WaitlistOffer.entry_id,
        WaitlistOffer.clinic_id,
        WaitlistOffer.doctor_id,
        WaitlistOffer.patient_id,
    )
    .where(WaitlistOffer.status == "open", WaitlistOffer.expire_time <= bindparam("now"))
    .order_by(WaitlistOffer.expire_time)
    .limit(BATCH)
    .with_for_update(skip_locked=True)
)
LAPSE = sql(update(WaitlistOffer).where(WaitlistOffer.offer_id == _IDS).values(status="lapsed"))
WAIT_AGAIN = sql(
    update(WaitlistEntry)
    .where(WaitlistEntry.entry_id == _IDS, WaitlistEntry.status == "offered")
    .values(status="waiting", update_time=func.app_now())
)
_PATIENT_ENDED = exists().where(
    _WHO.c.patient_id == WaitlistEntry.patient_id, _WHO.c.end_time.is_not(None)
)
OUTDATED = sql(
    select(WaitlistEntry.entry_id, WaitlistEntry.wanted_clinic_id)
    .where(_WAITS, or_(WaitlistEntry.until_date < bindparam("day"), _PATIENT_ENDED))
    .limit(BATCH)
    .with_for_update(skip_locked=True)
)
END = sql(
    update(WaitlistEntry)
    .where(WaitlistEntry.entry_id == _IDS)
    .values(status="ended", update_time=func.app_now())
)


async def offer(database: Database) -> bool:
    """Look at the practice that is due first, and make one offer there; False when none is due."""
    async with database.transaction() as tx:
        due = await tx.one(NEXT_DUE, now=tx.now)
    if due is None:
        return False
    try:
        await _look_at(database, due["practice_id"])
    except Exception:
        # One practice that cannot be looked at must not hold up all the others.
        async with database.transaction() as tx:
            await tx.run(PUT_OFF, practice=due["practice_id"], later=tx.now + PATIENCE)
        raise
    return True


async def lapse(database: Database) -> bool:
    """End the offers whose deadline passed; what they kept goes to the next ones."""
    async with database.transaction(request_id=LAPSE_OFFERS) as tx:
        rows = await tx.all(OVERDUE, now=tx.now)
        await tx.run(LAPSE, ids=[row["offer_id"] for row in rows])
        await tx.run(WAIT_AGAIN, ids=[row["entry_id"] for row in rows])
        for row in rows:
            tx.record(
                "waitlist.lapsed",
                row["offer_id"],
                clinic_id=row["clinic_id"],
                patients=[row["patient_id"]],
                fields=("status",),
                event={"patient_id": row["patient_id"], "doctor_id": row["doctor_id"]},
            )
    return len(rows) == BATCH


async def sweep(database: Database) -> bool:
    """End the entries whose last day is over or whose patient has ended, and look at all others."""
    async with database.transaction(request_id=SWEEP) as tx:
        rows = await tx.all(OUTDATED, day=(tx.now - DAY).date())
        await tx.run(END, ids=[row["entry_id"] for row in rows])
        for row in rows:
            tx.record("waitlist.ended", row["entry_id"], clinic_id=row["wanted_clinic_id"])
        await tx.run(MARK_ALL)
    return len(rows) == BATCH


async def _look_at(database: Database, practice_id: UUID) -> None:
    lock = availability.lock_by_practice(practice_id)
    async with database.transaction(lock=lock, request_id=OFFER) as tx:
        if not await tx.run(TAKE_DUE, practice=practice_id):
            return
        found = await _find(tx, practice_id)
        if found is None:
            return
        entry, type_id, start = found
        await offers.place(tx, entry, practice_id=practice_id, visit_type_id=type_id, start=start)
        await tx.run(MARK, practice=practice_id)


async def _find(tx: Transaction, practice_id: UUID) -> tuple[asyncpg.Record, UUID, datetime] | None:
    """Answer the first entry for which there is a time, with its visit type and that time.

    Entries are read in parts, to the last of them: whom nothing suits holds up nobody.
    """
    for place in count(step=MOST_ASKED):
        waiting = await tx.all(WAITING, practice=practice_id, limit=MOST_ASKED, place=place)
        free = await _free_times(tx, practice_id, waiting)
        if found := first_fit(waiting, free, tx.now):
            entry, start = found
            return entry, free[entry["visit_type_id"]].visit_type_id, start
        if len(waiting) < MOST_ASKED:
            break
    return None


async def _free_times(
    tx: Transaction, practice_id: UUID, waiting: list[asyncpg.Record]
) -> dict[UUID | None, Free]:
    """Read the free times of each visit type that somebody waits for; None is the default one."""
    practice = await tx.one(entries.FIND_PRACTICE, practice=practice_id, visit_type=None)
    if practice is None or not waiting:
        return {}
    days = _days(tx.now, max(entry["until_date"] for entry in waiting))
    free = {}
    for type_id in {entry["visit_type_id"] for entry in waiting}:
        with suppress(NotFound):
            found = await availability.free_slots(
                tx,
                tx.now,
                practice["wanted_doctor_id"],
                practice_id=practice_id,
                visit_type_id=type_id,
                days=days,
            )
            if found:
                free[type_id] = Free.of(found)
    return free


def _days(now: datetime, last: date) -> int:
    return min(max((last - now.date()).days + 2, 1), MOST_DAYS)


JOBS = (
    Job(OFFER, 1.0, offer),
    Job(LAPSE_OFFERS, 5.0, lapse),
    Job(SWEEP, 60.0, sweep),
)
