"""Figures about doctors, as far as the caller may know them."""

from typing import NamedTuple

from sqlalchemy import and_, bindparam, column, func, select

from server.core.db import Transaction, sql
from server.core.period import Counts, Period
from server.directory.models import DoctorProfile

_made = DoctorProfile.create_time
_WAITING = select(func.count_pending_verifications().table_valued(column("pending")).c.pending)
COUNT = sql(
    select(
        func.count().filter(DoctorProfile.verification_status == "verified").label("verified"),
        _WAITING.scalar_subquery().label("pending"),
        func.count()
        .filter(and_(_made >= bindparam("start"), _made < bindparam("end")))
        .label("current"),
        func.count()
        .filter(and_(_made >= bindparam("before"), _made < bindparam("start")))
        .label("previous"),
    ).select_from(DoctorProfile)
)


class Doctors(NamedTuple):
    """Verified and waiting doctors, and profiles made in the period and before."""

    verified: int
    pending: int
    new: Counts


async def doctors(tx: Transaction, period: Period) -> Doctors:
    """Count doctors; those who wait are told to who may read reports."""
    row = await tx.one(COUNT, start=period.start, end=period.end, before=period.before().start)
    if row is None:
        raise LookupError
    return Doctors(row["verified"], row["pending"], Counts(row["current"], row["previous"]))
