"""Visits that were not paid in time take no time from their patient, also before the job ran."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from asyncpg import Record
from sqlalchemy import CTE, TIMESTAMP, ColumnElement, Uuid, bindparam, func, select
from sqlalchemy.dialects.postgresql import JSONB

from server.appointment.writes import UNPAID, record
from server.core.db import Transaction, sql


def lapsed(patient: ColumnElement[UUID]) -> CTE:
    """Call off the expired visits of a patient between `start` and `end`, with their payments.

    Whoever wants that time does, also where the visits are hidden from them. It is one row, whose
    `visits` go to `record_lapsed`; what reads it comes after the calling off.
    """
    instant = TIMESTAMP(timezone=True)
    since, until = bindparam("start", type_=instant), bindparam("end", type_=instant)
    visits = func.call_off_lapsed(patient, since, until, type_=JSONB)
    return select(visits.label("visits")).cte("lapsed")


_CALL_OFF = sql(select(lapsed(bindparam("patient", type_=Uuid))))


async def call_off(tx: Transaction, visit: Record) -> None:
    """Call off what has lapsed in the way of a visit."""
    (row,) = await tx.all(
        _CALL_OFF, patient=visit["patient_id"], start=visit["start_time"], end=visit["end_time"]
    )
    record_lapsed(tx, row["visits"])


def record_lapsed(tx: Transaction, visits: Iterable[Mapping[str, Any]] | None) -> None:
    """Record that visits were not paid in time."""
    for visit in visits or ():
        record(tx, "appointment.expired", visit, before=UNPAID, fields=("status",))
