"""Taking a time for a patient."""

from datetime import datetime
from uuid import UUID

import asyncpg
from sqlalchemy import bindparam, insert

from server.appointment import holding
from server.appointment.models import Appointment, PaymentTransaction
from server.appointment.refusals import PatientBusy, SlotTaken, check
from server.appointment.view import view
from server.appointment.writes import record
from server.availability import claims
from server.availability import service as availability
from server.availability.hours import local_day
from server.availability.schedule import Offer
from server.core.db import Transaction, refusing, sql
from server.core.ids import new_id

_REPLACED = holding.replaced()
_CLAIM = claims.claim(holding.ids(_REPLACED))
_VISIT = (
    insert(Appointment)
    .values(
        appointment_id=bindparam("claim_id"),
        clinic_id=bindparam("clinic"),
        practice_id=bindparam("practice"),
        doctor_id=bindparam("claim_doctor"),
        patient_id=bindparam("patient"),
        visit_type_id=bindparam("visit_type"),
        visit_type_name=bindparam("type_name"),
        status="booked",
        start_time=bindparam("start"),
        end_time=bindparam("end"),
        local_date=bindparam("day"),
        price=bindparam("amount"),
        currency_code=bindparam("currency"),
        reason=bindparam("why"),
    )
    .returning(Appointment)
    .cte("visit")
)
_PAYMENT = (
    insert(PaymentTransaction)
    .values(
        transaction_id=bindparam("payment"),
        clinic_id=bindparam("clinic"),
        appointment_id=bindparam("claim_id"),
        patient_id=bindparam("patient"),
        doctor_id=bindparam("claim_doctor"),
        amount=bindparam("amount"),
        currency_code=bindparam("currency"),
    )
    .returning(PaymentTransaction)
    .cte("payment_made")
)
_BOOK = sql(view(_VISIT, _PAYMENT).add_columns(holding.listed(_REPLACED)).add_cte(_CLAIM))


async def book(
    tx: Transaction,
    patient_id: UUID,
    *,
    practice_id: UUID,
    visit_type_id: UUID | None,
    start: datetime,
    reason: str,
    hold_id: UUID | None = None,
) -> asyncpg.Record:
    """Book a visit; `visit_type_id` None is the practice's default. The calendar must be locked.

    The patient's holds that are in the way end, and so does `hold_id`.
    Raises NotFound, NotBookable, SlotTaken and PatientBusy.
    """
    offer = await availability.find_offer(tx, practice_id, visit_type_id, start)
    check(offer, start, tx.now)
    with refusing(claim_overlap=SlotTaken, appointment_patient_overlap=PatientBusy):
        (row,) = await tx.all(
            _BOOK,
            **_values(tx, offer, start),
            patient=patient_id,
            holder=patient_id,
            hold=hold_id,
            why=reason.strip(),
        )
    holding.record_ended(tx, row["ended_holds"])
    record(tx, "appointment.booked", row, fields=("status",))
    return row


def _values(tx: Transaction, offer: Offer, start: datetime) -> dict[str, object]:
    visit = offer.schedule.terms.visit(start)
    return {
        **holding.time_of(offer, start),
        "claim_id": new_id(tx.now),
        "claim_kind": "appointment",
        "claim_expire": None,
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
