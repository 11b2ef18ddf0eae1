"""Figures about accounts, for those who may read reports: to others they are all zero."""

from typing import NamedTuple

from sqlalchemy import TIMESTAMP, bindparam, column, func, select

from server.core.db import Transaction, sql
from server.core.period import Counts, Period

_INSTANT = TIMESTAMP(timezone=True)
COUNT = sql(
    select("*").select_from(
        func.count_accounts(
            bindparam("before", type_=_INSTANT),
            bindparam("start", type_=_INSTANT),
            bindparam("end", type_=_INSTANT),
        ).table_valued(column("total"), column("current"), column("previous"))
    )
)


class Users(NamedTuple):
    """All accounts there are, and those made in the period and before."""

    total: int
    new: Counts


async def users(tx: Transaction, period: Period) -> Users:
    """Count accounts."""
    row = await tx.one(COUNT, start=period.start, end=period.end, before=period.before().start)
    if row is None:
        raise LookupError
    return Users(row["total"], Counts(row["current"], row["previous"]))
