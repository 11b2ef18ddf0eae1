"""One appointment as everybody reads it: with names, place and payment."""

from typing import Any

from sqlalchemy import FromClause, Select, bindparam, select

from server.appointment.models import Appointment, PaymentTransaction
from server.core.db import sql
from server.directory import queries as directory
from server.patient import queries as patients


def view(visit: FromClause, payment: FromClause) -> Select[Any]:
    """Select visits from a table, or from what a change of it returned, with all that is shown."""
    practice, person = directory.practices(), patients.patients()
    return (
        select(
            *visit.c,
            practice.c.time_zone,
            practice.c.doctor_name,
            practice.c.clinic_name,
            practice.c.clinic_address,
            person.c.full_name.label("patient_name"),
            person.c.account_id,
            person.c.phone.label("patient_phone"),
            payment.c.transaction_id,
            payment.c.method,
            payment.c.status.label("payment_status"),
            payment.c.amount,
            payment.c.settle_time,
        )
        .select_from(visit)
        .join(practice, practice.c.practice_id == visit.c.practice_id)
        .join(person, person.c.patient_id == visit.c.patient_id, isouter=True)
        .join(payment, payment.c.appointment_id == visit.c.appointment_id, isouter=True)
    )


VISIT: FromClause = Appointment.__table__
PAYMENT: FromClause = PaymentTransaction.__table__
ALL = view(VISIT, PAYMENT)
FIND = sql(ALL.where(VISIT.c.appointment_id == bindparam("appointment")))
