"""The rows that a booking writes, as parts of its statement."""

from typing import Any

from sqlalchemy import CTE, ColumnElement, FromClause, Uuid, bindparam, insert, select

from server.appointment.models import Appointment, PaymentTransaction

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


def visit(session: ColumnElement[Any], *, once: FromClause) -> CTE:
    """Write the visit, with its session or none, for the row of `once` if there is one."""
    values = [bindparam(name, type_=column.type) for column, name in _COLUMNS.items()]
    made = insert(Appointment).from_select(
        [*_COLUMNS, Appointment.session_id], select(*values, session).select_from(once)
    )
    return made.returning(Appointment).cte("visit")


def payment(visit: CTE) -> CTE:
    """Write the payment of the visit."""
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
