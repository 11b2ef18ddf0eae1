"""Taking a time for a patient."""

from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
from sqlalchemy import Uuid, bindparam, exists, func, insert, select

from server.appointment import holding, paying
from server.appointment.models import Appointment, PaymentTransaction
from server.appointment.progress import find
from server.appointment.refusals import PatientBusy, SlotTaken, check
from server.appointment.view import view
from server.appointment.writes import record
from server.availability import claims
from server.availability import service as availability
from server.availability.hours import local_day
from server.availability.schedule import Offer
from server.core.db import Transaction, refusing, sql
from server.core.errors import NotFound
from server.core.ids import new_id
from server.patient import queries as patients

_REPLACED = holding.replaced()
_CLAIM = claims.claim(holding.ids(_REPLACED))
_LAPSED = paying.lapsed()
# Reading the count makes the calling off come first.
_FIRST = select(func.count().label("n")).select_from(_LAPSED).subquery()
_WHO = patients.patients()
_KNOWN = exists().where(
    _WHO.c.patient_id == bindparam("patient", type_=Uuid),
    _WHO.c.account_id == func.app_user(),
    _WHO.c.end_time.is_(None),
)
_COLUMNS = {
    Appointment.appointment_id: "claim_id",
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
}
_VALUES = (bindparam(name, type_=column.type) for column, name in _COLUMNS.items())
_VISIT = (
    insert(Appointment)
    .from_select(list(_COLUMNS), select(*_VALUES).where(_FIRST.c.n >= 0, _KNOWN))
    .returning(Appointment)
    .cte("visit")
)
_TO_PAY = {
    PaymentTransaction.transaction_id: bindparam("payment", type_=Uuid),
    PaymentTransaction.clinic_id: _VISIT.c.clinic_id,
    PaymentTransaction.appointment_id: _VISIT.c.appointment_id,
    PaymentTransaction.patient_id: _VISIT.c.patient_id,
    PaymentTransaction.doctor_id: _VISIT.c.doctor_id,
    PaymentTransaction.amount: _VISIT.c.price,
    PaymentTransaction.currency_code: _VISIT.c.currency_code,
}
_PAYMENT = (
    insert(PaymentTransaction)
    .from_select(list(_TO_PAY), select(*_TO_PAY.values()))
    .returning(PaymentTransaction)
    .cte("payment_made")
)
_EXPIRED = select(func.array_agg(_LAPSED.c.appointment_id)).scalar_subquery().label("lapsed")
_BOOK = sql(
    view(_VISIT, _PAYMENT)
    .add_columns(holding.listed(_REPLACED), _EXPIRED)
    .add_cte(_CLAIM, paying.void(_LAPSED))
)


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
) -> asyncpg.Record:
    """Book a visit of the caller or a dependant of theirs. The calendar must be locked.

    `visit_type_id` None is the practice's default. The caller's holds that are in the way end, and
    so does `hold_id`. With `pay_within` the visit is PENDING_PAYMENT, and expires unless paid.
    Raises NotFound, NotBookable, SlotTaken and PatientBusy.
    """
    offer = await availability.find_offer(tx, practice_id, visit_type_id, start)
    check(offer, start, tx.now)
    with refusing(claim_overlap=SlotTaken, appointment_patient_overlap=PatientBusy):
        row = await tx.one(
            _BOOK,
            **_values(tx, offer, start),
            patient=patient_id,
            holder=tx.user_id,
            hold=hold_id,
            why=reason.strip(),
            status="pending_payment" if pay_within else "booked",
            claim_expire=tx.now + pay_within if pay_within else None,
        )
    if row is None:
        raise NotFound("There is no such patient.")
    await _record(tx, row)
    return row


async def _record(tx: Transaction, row: asyncpg.Record) -> None:
    holding.record_ended(tx, row["ended_holds"])
    for lapsed in row["lapsed"] or ():
        record(tx, "appointment.expired", await find(tx, lapsed), fields=("status",))
    action = "appointment.booked" if row["status"] == "booked" else "appointment.pending"
    record(tx, action, row, fields=("status",))


def _values(tx: Transaction, offer: Offer, start: datetime) -> dict[str, object]:
    visit = offer.schedule.terms.visit(start)
    return {
        **holding.time_of(offer, start),
        "claim_id": new_id(tx.now),
        "claim_kind": "appointment",
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
