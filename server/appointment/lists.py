"""Lists of appointments: a patient's own, and the schedule of a doctor or clinic."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import (
    DATE,
    TIMESTAMP,
    ColumnElement,
    Integer,
    Text,
    Uuid,
    any_,
    bindparam,
    func,
    or_,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY

from server.appointment.view import ALL, VISIT
from server.core.access import Caller
from server.core.db import Transaction, sql
from server.core.statement import Statement

DAY = timedelta(days=1)
Keyset = tuple[datetime, UUID]

_KEY = tuple_(VISIT.c.start_time, VISIT.c.appointment_id)
_AFTER = tuple_(
    bindparam("after_start", type_=TIMESTAMP(timezone=True)), bindparam("after_id", type_=Uuid)
)
_ZONE_DAY = func.timezone(
    ALL.selected_columns.time_zone, bindparam("now", type_=TIMESTAMP(timezone=True))
).cast(DATE)


def _optional(name: str, type_: Any, condition: Any) -> ColumnElement[bool]:
    """Write a filter that lets everything through while its parameter is None."""
    value = bindparam(name, type_=type_)
    return or_(value.is_(None), condition(value))


_STATUSES = _optional("statuses", ARRAY(Text), lambda wanted: VISIT.c.status == any_(wanted))


@cache
def _of_patient(*, latest: bool, later_page: bool) -> Statement:
    instant = TIMESTAMP(timezone=True)
    statement = ALL.where(
        VISIT.c.patient_id == any_(func.app_patients()),
        _optional("patient", Uuid, lambda patient: VISIT.c.patient_id == patient),
        _STATUSES,
        _optional("since", instant, lambda since: VISIT.c.start_time >= since),
        _optional("until", instant, lambda until: VISIT.c.start_time < until),
    )
    if later_page:
        statement = statement.where(_AFTER > _KEY if latest else _KEY > _AFTER)
    order = (VISIT.c.start_time, VISIT.c.appointment_id)
    ordered = statement.order_by(*(column.desc() for column in order) if latest else order)
    return sql(ordered.limit(bindparam("size", type_=Integer)))


@cache
def _of_clinic(*, later_page: bool) -> Statement:
    first = func.coalesce(bindparam("first", type_=DATE), _ZONE_DAY)
    statement = ALL.where(
        or_(
            VISIT.c.doctor_id == func.app_user(),
            VISIT.c.clinic_id == any_(func.app_clinics()),
            VISIT.c.clinic_id == any_(func.app_key_clinics("schedule.read")),
        ),
        VISIT.c.local_date.between(bindparam("low", type_=DATE), bindparam("high", type_=DATE)),
        VISIT.c.local_date >= first,
        VISIT.c.local_date < first + bindparam("days", type_=Integer),
        _STATUSES,
        _optional("doctor", Uuid, lambda doctor: VISIT.c.doctor_id == doctor),
        _optional("clinic", Uuid, lambda clinic: VISIT.c.clinic_id == clinic),
    )
    if later_page:
        statement = statement.where(_KEY > _AFTER)
    ordered = statement.order_by(VISIT.c.start_time, VISIT.c.appointment_id)
    return sql(ordered.limit(bindparam("size", type_=Integer)))


async def of_patient(
    tx: Transaction,
    *,
    patient_id: UUID | None = None,
    statuses: Sequence[str],
    since: datetime | None,
    until: datetime | None,
    latest: bool,
    after: Keyset | None,
    size: int,
) -> list[asyncpg.Record]:
    """Read up to `size` appointments of the caller and their dependants, or of one of them.

    The latest or the earliest come first.
    """
    return await tx.all(
        _of_patient(latest=latest, later_page=after is not None),
        patient=patient_id,
        statuses=list(statuses) or None,
        since=since,
        until=until,
        size=size,
        **_keyset(after),
    )


async def of_clinic(
    tx: Transaction,
    *,
    doctor_id: UUID | None,
    clinic_id: UUID | None,
    first: date | None,
    days: int,
    statuses: Sequence[str],
    after: Keyset | None,
    size: int,
) -> list[asyncpg.Record]:
    """Read up to `size` visits that the caller treats or runs, by start.

    `first` None is today at each clinic.
    """
    today = tx.now.date()
    return await tx.all(
        _of_clinic(later_page=after is not None),
        doctor=doctor_id or _own(tx.caller, clinic_id),
        clinic=clinic_id,
        now=tx.now,
        first=first,
        days=days,
        low=first or today - DAY,
        high=(first or today + DAY) + days * DAY,
        statuses=list(statuses) or None,
        size=size,
        **_keyset(after),
    )


def _own(caller: Caller, clinic_id: UUID | None) -> UUID | None:
    """Answer the doctor whom a doctor means who names neither doctor nor clinic."""
    return caller.user_id if caller.role == "doctor" and clinic_id is None else None


def _keyset(after: Keyset | None) -> dict[str, Any]:
    return {"after_start": after[0], "after_id": after[1]} if after else {}
