"""Taking a time for a patient."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import CTE, ColumnElement, Uuid, bindparam, exists, func, select

from server.appointment import alone, following, holding, lapsing, rows, seats
from server.appointment.refusals import PatientBusy, SlotTaken, check
from server.appointment.view import view
from server.appointment.writes import record
from server.availability import claims
from server.availability import service as availability
from server.availability.hours import local_day
from server.availability.schedule import Offer
from server.core.db import Transaction, refusing, sql
from server.core.errors import FailedPrecondition, NotFound
from server.core.ids import new_id
from server.core.statement import Statement
from server.patient import queries as patients

_WHO = patients.patients()
_KNOWN = exists().where(
    _WHO.c.patient_id == bindparam("patient", type_=Uuid),
    _WHO.c.account_id == func.app_user(),
    _WHO.c.end_time.is_(None),
)


def _booking(session: ColumnElement[Any], replaced: CTE, taken: CTE) -> Statement:
    """Compile a booking whose session, None for a visit alone, is given, and how time is taken."""
    lapsed = lapsing.lapsed(bindparam("patient", type_=Uuid))
    visit = rows.visit(session, once=select(lapsed).where(_KNOWN).subquery("once"))
    ended = select(lapsed.c.visits).scalar_subquery().label("lapsed")
    return sql(
        view(visit, rows.payment(visit)).add_columns(holding.listed(replaced), ended).add_cte(taken)
    )


_REPLACED = holding.replaced()
_LEFT = seats.left(_REPLACED)
_BOOK = _booking(bindparam("session", None, type_=Uuid), _REPLACED, claims.claim(_LEFT))
_JOIN = _booking(claims.session(), _REPLACED, claims.release(_LEFT.cte("left_claims")))


async def book(
    tx: Transaction,
    patient_id: UUID,
    *,
    practice_id: UUID,
    visit_type_id: UUID | None,
    start: datetime,
    reason: str,
    hold_id: UUID | None = None,
    pay_within: timedelta | None = None,
    series_id: UUID | None = None,
    follows_id: UUID | None = None,
) -> asyncpg.Record:
    """Book a visit of the caller or a dependant of theirs. The calendar must be locked.

    `visit_type_id` None is the practice's default. The caller's holds that are in the way end, and
    so does `hold_id`. With `pay_within` the visit is PENDING_PAYMENT, and expires unless paid.
    Raises NotFound, NotBookable, SlotTaken and PatientBusy.
    """
    offer = await availability.find_offer(tx, practice_id, visit_type_id, start)
    check(offer, start, tx.now)
    if pay_within and seats.is_group(offer):
        raise FailedPrecondition("A seat of a group is not kept while the patient pays.")
    values = _values(tx, offer, start) | {
        "patient": patient_id,
        "holder": tx.user_id,
        "hold": hold_id,
        "why": reason.strip(),
        "status": "pending_payment" if pay_within else "booked",
        "claim_expire": tx.now + pay_within if pay_within else None,
        "follows": follows_id,
        "series": series_id,
    }
    if follows_id:
        values["amount"] = await following.price(tx, follows_id, patient_id, offer, start)
    with refusing(claim_overlap=SlotTaken, appointment_patient_overlap=PatientBusy):
        row = await _write(tx, values, joins=seats.joins(offer, start), expiring=offer.expiring)
    if row is None:
        raise NotFound("There is no such patient.")
    holding.record_ended(tx, row["ended_holds"])
    lapsing.record_lapsed(tx, row["lapsed"])
    action = "appointment.booked" if row["status"] == "booked" else "appointment.pending"
    record(tx, action, row, fields=("status",))
    return row


async def _write(
    tx: Transaction, values: dict[str, Any], *, joins: bool, expiring: bool
) -> asyncpg.Record | None:
    """Take the time and write the visit; None when the patient is not the caller's."""
    row = None
    if not (joins or expiring or values["hold"]):
        row = await tx.one(alone.BOOK, **alone.BOOK.only(values))
    if row is None:
        statement = _JOIN if joins else _BOOK
        row = await tx.one(statement, **statement.only(values))
    return row


def _values(tx: Transaction, offer: Offer, start: datetime) -> dict[str, Any]:
    visit, appointment_id = offer.schedule.terms.visit(start), new_id(tx.now)
    session_id = new_id(tx.now) if seats.is_group(offer) else None
    return {
        **holding.time_of(offer, start),
        "appointment": appointment_id,
        "session": session_id,
        "claim_id": session_id or appointment_id,
        "claim_kind": "session" if session_id else "appointment",
        "clinic": offer.clinic_id,
        "practice": offer.practice_id,
        "visit_type": offer.visit_type_id,
        "type_name": offer.visit_type_name,
        "start": visit.start,
        "end": visit.end,
        "day": local_day(offer.schedule.zone, start),
        "amount": offer.price,
        "currency": offer.currency_code,
        "payment": new_id(tx.now),
        "time_zone": offer.schedule.zone.key,
        "doctor_name": offer.doctor_name,
        "clinic_name": offer.clinic_name,
        "clinic_address": offer.clinic_address,
    }
