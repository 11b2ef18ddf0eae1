"""Figures about accounts, as far as the caller may see them."""

from typing import NamedTuple

from sqlalchemy import bindparam, func, select

from server.auth.models import UserAccount
from server.core.db import Transaction, sql
from server.core.period import Counts, Period

_MADE = select(func.count()).select_from(UserAccount)
COUNT = sql(
    select(
        _MADE.scalar_subquery().label("total"),
        _MADE.where(
            UserAccount.create_time >= bindparam("start"),
            UserAccount.create_time < bindparam("end"),
        )
        .scalar_subquery()
        .label("current"),
        _MADE.where(
            UserAccount.create_time >= bindparam("before"),
            UserAccount.create_time < bindparam("start"),
        )
        .scalar_subquery()
        .label("previous"),
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
