"""Keeping a time for somebody for a few minutes."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import (
    CTE,
    ColumnElement,
    Uuid,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
)

from server.appointment import seats
from server.appointment.models import Hold
from server.appointment.refusals import SlotTaken, check
from server.availability import claims
from server.availability import service as availability
from server.availability.schedule import Offer
from server.core.access import Caller
from server.core.db import Feed, Lock, Transaction, refusing, sql
from server.core.errors import FailedPrecondition, NotFound, Unauthenticated
from server.core.ids import new_id
from server.core.statement import Statement

MOST_LIVE = 3
LASTING = timedelta(minutes=10)


class TooManyHolds(FailedPrecondition):
    """The patient holds as many times as they may."""

    reason = "TOO_MANY_HOLDS"
    text = f"At most {MOST_LIVE} times can be held at once; release one or book it."


_HOLDER = bindparam("holder", type_=Uuid)
_OVERLAPPED = claims.overlapped()
_IS_LIVE = Hold.expire_time > func.app_now()


def replaced() -> CTE:
    """End the holds of its own `holder` in the way of a write, and the one named as `hold`.

    A seat in a group of another doctor stays until it expires: seats are counted under the lock of
    their own calendar.
    """
    in_the_way = Hold.claim_id.in_(select(_OVERLAPPED.c.claim_id))
    counted_here = or_(Hold.claim_id == Hold.hold_id, Hold.doctor_id == claims.DOCTOR)
    named = (Hold.hold_id == bindparam("hold", None, type_=Uuid)) & counted_here
    ended = delete(Hold).where(Hold.holder_id == _HOLDER, or_(in_the_way, named))
    columns = (Hold.hold_id, Hold.clinic_id, Hold.claim_id, _IS_LIVE.label("live"))
    return ended.returning(*columns).cte("replaced")


def listed(holds: CTE) -> ColumnElement[Any]:
    """Select `replaced` as one value, for `record_ended`."""
    pair = func.jsonb_build_array(holds.c.hold_id, holds.c.clinic_id)
    return select(func.jsonb_agg(pair)).select_from(holds).scalar_subquery().label("ended_holds")


def _holding(claim_id: ColumnElement[Any], holds: CTE, taken: CTE) -> Statement:
    """Compile a hold with the claim that it is part of, and how time is taken."""
    held = (
        insert(Hold)
        .values(
            hold_id=bindparam("own_id"),
            claim_id=claim_id,
            holder_id=_HOLDER,
            clinic_id=bindparam("clinic"),
            practice_id=bindparam("practice"),
            doctor_id=bindparam("claim_doctor"),
            visit_type_id=bindparam("visit_type"),
            start_time=bindparam("start"),
            end_time=bindparam("end"),
            expire_time=bindparam("until"),
            create_time=bindparam("since"),
        )
        .returning(Hold)
        .cte("held")
    )
    return sql(select(held, listed(holds)).add_cte(taken))


_REPLACED = replaced()
_LEFT = seats.left(_REPLACED)
_HOLD = _holding(bindparam("claim_id", type_=Uuid), _REPLACED, claims.claim(_LEFT))
_JOIN = _holding(claims.session(), _REPLACED, claims.release(_LEFT.cte("left_claims")))
_OTHERS = sql(
    select(func.count().label("live"))
    .select_from(Hold)
    .where(
        Hold.holder_id == _HOLDER,
        _IS_LIVE,
        Hold.claim_id.not_in(select(_OVERLAPPED.c.claim_id)),
    )
)
_FIND = sql(select(Hold).where(Hold.hold_id == bindparam("hold_id"), _IS_LIVE))
# The claim of a seat has another id, and ends with its last seat.
_GONE = select(Hold.hold_id).where(Hold.hold_id == bindparam("hold_id")).cte("given_back")
_RELEASE = sql(
    delete(Hold).where(Hold.hold_id == bindparam("hold_id")).add_cte(claims.release(_GONE))
)


def lock(practice_id: UUID, caller: Caller) -> Lock:
    """Lock the doctor's calendar, then the caller's account, under which holds are counted."""
    if caller.user_id is None:
        raise Unauthenticated
    return Lock(
        "SELECT FROM calendar WHERE doctor_id ="
        " (SELECT doctor_id FROM practice WHERE practice_id = {}) FOR UPDATE;"
        "SELECT FROM user_account WHERE user_id = {} FOR NO KEY UPDATE",
        practice_id,
        caller.user_id,
    )


def lock_hold(hold_id: UUID) -> Lock:
    """Lock the calendar in which a time is held."""
    return Lock(
        "SELECT FROM calendar WHERE doctor_id ="
        " (SELECT doctor_id FROM hold WHERE hold_id = {}) FOR UPDATE",
        hold_id,
    )


async def hold(
    tx: Transaction,
    holder_id: UUID,
    *,
    practice_id: UUID,
    visit_type_id: UUID | None,
    start: datetime,
    lasting: timedelta = LASTING,
    most_live: int | None = MOST_LIVE,
) -> asyncpg.Record:
    """Keep a time for the account `holder_id`; `most_live` None counts none of their others.

    The calendar must be locked, and to count also the account. Raises NotFound, NotBookable,
    SlotTaken and TooManyHolds.
    """
    offer = await availability.find_offer(tx, practice_id, visit_type_id, start)
    # A new hold promises from now on, so what an earlier one of the caller's promised is no excuse.
    check(replace(offer, schedule=replace(offer.schedule, promised={})), start, tx.now)
    if most_live is not None:
        await _check_others(tx, holder_id, time_of(offer, start), most_live)
    statement = _JOIN if seats.joins(offer, start) else _HOLD
    # Held again, a time is kept until it first would have been: nobody keeps one for ever.
    since = offer.schedule.promised.get(start, tx.now)
    since = since if since + lasting > tx.now else tx.now
    values = _values(tx, offer, start, since + lasting) | {"holder": holder_id, "since": since}
    with refusing(claim_overlap=SlotTaken):
        (row,) = await tx.all(statement, **statement.only(values))
    record_ended(tx, row["ended_holds"])
    _record(tx, row)
    return row


async def release(tx: Transaction, hold_id: UUID) -> None:
    """Give a held time back; NotFound for a hold that is another's or has ended."""
    row = await tx.one(_FIND, hold_id=hold_id)
    if row is None:
        raise NotFound("There is no such hold.")
    await tx.run(_RELEASE, hold_id=hold_id)
    record_ended(tx, [(row["hold_id"], row["clinic_id"])])


def time_of(offer: Offer, start: datetime) -> dict[str, Any]:
    """Answer the parameters of a claim that say whose time is taken."""
    taken = offer.schedule.terms.taken(start)
    return {"claim_doctor": offer.doctor_id, "claim_start": taken.start, "claim_end": taken.end}


def record_ended(tx: Transaction, holds: Iterable[tuple[UUID, UUID]] | None) -> None:
    """Record that holds are over, each an id and its clinic."""
    for hold_id, clinic_id in holds or ():
        feed = Feed("hold", hold_id, None)
        tx.record("hold.released", hold_id, clinic_id=clinic_id, feed=feed)


def _values(tx: Transaction, offer: Offer, start: datetime, until: datetime) -> dict[str, Any]:
    hold_id = new_id(tx.now)
    return {
        **time_of(offer, start),
        "own_id": hold_id,
        "claim_id": new_id(tx.now) if seats.is_group(offer) else hold_id,
        "claim_kind": "session" if seats.is_group(offer) else "hold",
        "claim_expire": until,
        "until": until,
        "clinic": offer.clinic_id,
        "practice": offer.practice_id,
        "visit_type": offer.visit_type_id,
        "start": start,
        "end": offer.schedule.terms.visit(start).end,
    }


async def _check_others(tx: Transaction, holder: UUID, time: dict[str, Any], most: int) -> None:
    (row,) = await tx.all(_OTHERS, holder=holder, **time)
    if row["live"] >= most:
        raise TooManyHolds


def _record(tx: Transaction, row: asyncpg.Record) -> None:
    names = ("practice_id", "doctor_id", "visit_type_id", "start_time", "end_time")
    tx.record(
        "hold.placed",
        row["hold_id"],
        clinic_id=row["clinic_id"],
        fields=("start_time",),
        feed=Feed("hold", row["hold_id"], {n: row[n] for n in names}, row["expire_time"]),
    )
