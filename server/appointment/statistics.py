"""Figures about visits and their payments, as far as the caller may see them."""

from datetime import date
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import bindparam, func, select

from server.appointment.models import Appointment, PaymentTransaction
from server.core.db import Transaction, sql
from server.core.period import Period

_settled = PaymentTransaction.settle_time

VISITS = sql(
    select(Appointment.local_date, Appointment.status, func.count().label("visits"))
    .where(Appointment.local_date.between(bindparam("first"), bindparam("last")))
    .group_by(Appointment.local_date, Appointment.status)
)
COUNT = sql(
    select(func.count().label("visits"))
    .select_from(Appointment)
    .where(Appointment.local_date.between(bindparam("first"), bindparam("last")))
)
REVENUE = sql(
    select(
        PaymentTransaction.currency_code,
        func.sum(PaymentTransaction.amount).filter(_settled >= bindparam("start")).label("current"),
        func.sum(PaymentTransaction.amount).filter(_settled < bindparam("start")).label("previous"),
    )
    .where(
        PaymentTransaction.status == "settled",
        _settled >= bindparam("before"),
        _settled < bindparam("end"),
    )
    .group_by(PaymentTransaction.currency_code)
    .order_by(PaymentTransaction.currency_code)
)


class Visits(NamedTuple):
    """How many visits in a state a day has; days are those at the clinics."""

    day: date
    status: str
    number: int


class Revenue(NamedTuple):
    """What was settled in one currency, in the period and in the one before."""

    currency_code: str
    current: Decimal
    previous: Decimal


async def visits(tx: Transaction, period: Period) -> list[Visits]:
    """Count the visits of each day and state; what is not there has none."""
    rows = await tx.all(VISITS, first=period.first, last=period.last)
    return [Visits(row["local_date"], row["status"], row["visits"]) for row in rows]


async def visit_count(tx: Transaction, period: Period) -> int:
    """Count the visits of a period, in any state."""
    row = await tx.one(COUNT, first=period.first, last=period.last)
    return row["visits"] if row else 0


async def revenue(tx: Transaction, period: Period) -> list[Revenue]:
    """Add up settled payments by currency, by the day of settling."""
    rows = await tx.all(REVENUE, before=period.before().start, start=period.start, end=period.end)
    zero = Decimal(0)
    return [
        Revenue(row["currency_code"], row["current"] or zero, row["previous"] or zero)
        for row in rows
    ]
