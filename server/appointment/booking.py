"""Taking a time for a patient."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import CTE, ColumnElement, Uuid, bindparam, exists, func, insert, select

from server.appointment import following, holding, paying, seats
from server.appointment.models import Appointment, PaymentTransaction
from server.appointment.progress import find
from server.appointment.refusals import PatientBusy, SlotTaken, check
from server.appointment.view import view
from server.appointment.writes import UNPAID, record
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
_COLUMNS = {
    Appointment.appointment_id: "appointment",
    Appointment.clinic_id: "clinic",
    Appointment.practice_id: "practice",
    Appointment.doctor_id: "claim_doctor",
    Appointment.patient_id: "patient",
    Appointment.visit_type_id: "visit_type",
    Appointment.visit_type_name: "type_name",
    Appointment.status: "status",
    Appointment.expire_time: "claim_expire",
    Appointment.start_time: "start",
    Appointment.end_time: "end",
    Appointment.local_date: "day",
    Appointment.price: "amount",
    Appointment.currency_code: "currency",
    Appointment.reason: "why",
    Appointment.follows_id: "follows",
    Appointment.series_id: "series",
}


def _booking(session: ColumnElement[Any], replaced: CTE, taken: CTE) -> Statement:
    """Compile a booking whose session, None for a visit alone, is given, and how time is taken."""
    lapsed = paying.lapsed()
    # Reading the count makes the calling off come first.
    first = select(func.count().label("n")).select_from(lapsed).subquery()
    values = [bindparam(name, type_=column.type) for column, name in _COLUMNS.items()]
    visit = (
        insert(Appointment)
        .from_select(
            [*_COLUMNS, Appointment.session_id],
            select(*values, session).where(first.c.n >= 0, _KNOWN),
        )
        .returning(Appointment)
        .cte("visit")
    )
    ended = select(func.array_agg(lapsed.c.appointment_id)).scalar_subquery().label("lapsed")
    return sql(
        view(visit, _payment_of(visit))
        .add_columns(holding.listed(replaced), ended)
        .add_cte(taken, paying.void(lapsed))
    )


def _payment_of(visit: CTE) -> CTE:
    values = {
        PaymentTransaction.transaction_id: bindparam("payment", type_=Uuid),
        PaymentTransaction.clinic_id: visit.c.clinic_id,
        PaymentTransaction.appointment_id: visit.c.appointment_id,
        PaymentTransaction.patient_id: visit.c.patient_id,
        PaymentTransaction.doctor_id: visit.c.doctor_id,
        PaymentTransaction.amount: visit.c.price,
        PaymentTransaction.currency_code: visit.c.currency_code,
    }
    made = insert(PaymentTransaction).from_select(list(values), select(*values.values()))
    return made.returning(PaymentTransaction).cte("payment_made")


_REPLACED = holding.replaced()
_BOOK = _booking(
    bindparam("session", None, type_=Uuid), _REPLACED, claims.claim(holding.ids(_REPLACED))
)
_JOIN = _booking(claims.session(), _REPLACED, claims.release(_REPLACED))


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
    statement = _JOIN if seats.joins(offer, start) else _BOOK
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
        values["amount"] = await following.price(tx, follows_id, values)
    with refusing(claim_overlap=SlotTaken, appointment_patient_overlap=PatientBusy):
        row = await tx.one(statement, **statement.only(values))
    if row is None:
        raise NotFound("There is no such patient.")
    await _record(tx, row)
    return row


async def _record(tx: Transaction, row: asyncpg.Record) -> None:
    holding.record_ended(tx, row["ended_holds"])
    for lapsed in row["lapsed"] or ():
        expired = await find(tx, lapsed)
        record(tx, "appointment.expired", expired, before=UNPAID, fields=("status",))
    action = "appointment.booked" if row["status"] == "booked" else "appointment.pending"
    record(tx, action, row, fields=("status",))


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
    }
