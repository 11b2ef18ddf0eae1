"""Moving a visit to another time: in place, or not at all."""

from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import CTE, ColumnElement, Uuid, bindparam, func, select, true, union_all, update

from server.appointment import following, holding, lapsing, policy, progress, seats
from server.appointment.models import Appointment
from server.appointment.refusals import PatientBusy, SlotTaken, check
from server.appointment.states import check_is
from server.appointment.view import PAYMENT, view
from server.appointment.writes import record
from server.availability import claims
from server.availability import service as availability
from server.availability.hours import local_day
from server.core.db import Transaction, refusing, sql
from server.core.errors import InvalidField
from server.core.ids import new_id
from server.core.statement import Statement


def _moving(session: ColumnElement[Any], replaced: CTE, taken: CTE) -> Statement:
    lapsed = lapsing.lapsed(bindparam("moved_patient", type_=Uuid))
    moved = (
        update(Appointment)
        .where(Appointment.appointment_id == bindparam("appointment"), select(lapsed).exists())
        .values(
            start_time=bindparam("start"),
            end_time=bindparam("end"),
            local_date=bindparam("day"),
            session_id=session,
            previous_start_time=Appointment.start_time,
            confirm_time=None,
            revision=Appointment.revision + 1,
            update_time=func.app_now(),
        )
        .returning(Appointment)
        .cte("moved_visit")
    )
    ended = select(lapsed.c.visits).scalar_subquery().label("lapsed")
    return sql(view(moved, PAYMENT).add_columns(holding.listed(replaced), ended).add_cte(taken))


_REPLACED = holding.replaced()
_VISIT = bindparam("appointment", type_=Uuid)
_OLD = func.coalesce(bindparam("old_session", type_=Uuid), _VISIT).label("claim_id")
_LEFT = seats.left(
    union_all(
        select(_OLD, true().label("live")), select(_REPLACED.c.claim_id, _REPLACED.c.live)
    ).subquery("leaving")
)
_MOVE = _moving(bindparam("session", None, type_=Uuid), _REPLACED, claims.claim(_LEFT))
_JOIN = _moving(claims.session(), _REPLACED, claims.release(_LEFT.cte("left_claims")))


async def move(tx: Transaction, visit: asyncpg.Record, start: datetime) -> asyncpg.Record:
    """Move a visit of the caller's, under `progress.lock`; the patient as the policy allows.

    A patient moves no follow-up out of the days for which it has its price.
    Raises IllegalStatusChange, TooLate, NotBookable, SlotTaken and PatientBusy.
    """
    check_is(visit["status"], "booked", "booked", "moved")
    by_patient = progress.party_of(tx, visit) == "patient"
    if by_patient:
        await policy.check(tx, visit)
    if start == visit["start_time"]:
        raise InvalidField("start_time", "must be another time than that of the visit")
    row = await _move(tx, visit, start, holder=tx.caller.user_id if by_patient else None)
    holding.record_ended(tx, row["ended_holds"])
    lapsing.record_lapsed(tx, row["lapsed"])
    fields = ("start_time", "end_time", "previous_start_time", "confirm_time")
    record(tx, "appointment.moved", row, before=visit, fields=fields)
    return row


async def _move(
    tx: Transaction, visit: asyncpg.Record, start: datetime, *, holder: UUID | None
) -> asyncpg.Record:
    offer = await availability.find_offer(
        tx,
        visit["practice_id"],
        visit["visit_type_id"],
        start,
        moved=visit["appointment_id"],
        freed=await seats.freed_by(tx, visit["appointment_id"], visit["session_id"]),
    )
    check(offer, start, tx.now)
    if holder:
        await following.check_move(tx, visit, offer, start)
    new_session = new_id(tx.now) if seats.is_group(offer) else None
    values = holding.time_of(offer, start) | {
        "appointment": visit["appointment_id"],
        "moved_patient": visit["patient_id"],
        "old_session": visit["session_id"],
        "session": new_session,
        "claim_id": new_session or visit["appointment_id"],
        "claim_kind": "session" if new_session else "appointment",
        "claim_expire": None,
        "holder": holder,
        "start": start,
        "end": offer.schedule.terms.visit(start).end,
        "day": local_day(offer.schedule.zone, start),
    }
    statement = _JOIN if seats.joins(offer, start) else _MOVE
    with refusing(claim_overlap=SlotTaken, appointment_patient_overlap=PatientBusy):
        (row,) = await tx.all(statement, **statement.only(values))
    return row
