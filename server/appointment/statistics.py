"""Figures about visits and their payments, for those who may read reports: to others all are zero.

Who reads reports sees no visit. Functions with the owner's rights count them.
"""

from datetime import date
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import DATE, TIMESTAMP, bindparam, column, func, select

from server.core.db import Transaction, sql
from server.core.period import Period

_INSTANT = TIMESTAMP(timezone=True)

VISITS = sql(
    select(
        func.count_visits(
            bindparam("first", type_=DATE), bindparam("last", type_=DATE)
        ).table_valued(column("local_date"), column("status"), column("visits"))
    )
)
SETTLED = sql(
    select(
        func.sum_settled(
            bindparam("since", type_=_INSTANT), bindparam("until", type_=_INSTANT)
        ).table_valued(column("currency_code"), column("amount"))
    )
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
    return sum(counted.number for counted in await visits(tx, period))


async def revenue(tx: Transaction, period: Period) -> list[Revenue]:
    """Add up settled payments by currency, by the day of settling."""
    current, previous = await _settled(tx, period), await _settled(tx, period.before())
    zero = Decimal(0)
    return [
        Revenue(code, current.get(code, zero), previous.get(code, zero))
        for code in sorted(current.keys() | previous.keys())
    ]


async def _settled(tx: Transaction, period: Period) -> dict[str, Decimal]:
    rows = await tx.all(SETTLED, since=period.start, until=period.end)
    return {row["currency_code"]: row["amount"] for row in rows}
