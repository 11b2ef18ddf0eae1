"""The people for whom somebody books besides themselves."""

from datetime import date, datetime
from uuid import UUID

import asyncpg
from sqlalchemy import TIMESTAMP, Boolean, Integer, Uuid, bindparam, func, or_, select, tuple_
from sqlalchemy import insert as insert_
from sqlalchemy import update as update_

from server.core.access import Caller
from server.core.db import Lock, Transaction, sql
from server.core.errors import FailedPrecondition, NotFound, Unauthenticated
from server.patient.models import Patient

MOST = 20


class TooManyDependants(FailedPrecondition):
    """The caller has as many dependants as one may."""

    reason = "TOO_MANY_DEPENDANTS"
    text = f"At most {MOST} people can be added; end one whom you no longer book for."


_OWN = (Patient.account_id == func.app_user()) & (Patient.patient_id != Patient.account_id)
_KEY = tuple_(Patient.create_time, Patient.patient_id)
_AFTER = tuple_(
    bindparam("after_time", None, type_=TIMESTAMP(timezone=True)),
    bindparam("after_id", None, type_=Uuid),
)
_ADD = sql(
    insert_(Patient)
    .values(
        account_id=bindparam("account"),
        full_name=bindparam("name"),
        relation=bindparam("kin"),
        birth_date=bindparam("born"),
    )
    .returning(Patient)
)
_COUNT = sql(
    select(func.count().label("live")).select_from(Patient).where(_OWN, Patient.end_time.is_(None))
)
_LIST = sql(
    select(Patient)
    .where(
        _OWN,
        or_(Patient.end_time.is_(None), bindparam("ended", type_=Boolean)),
        or_(bindparam("after_id", None, type_=Uuid).is_(None), _KEY > _AFTER),
    )
    .order_by(Patient.create_time, Patient.patient_id)
    .limit(bindparam("size", type_=Integer))
)
_FIND = sql(select(Patient).where(_OWN, Patient.patient_id == bindparam("patient")))
_END = sql(
    update_(Patient)
    .where(_OWN, Patient.patient_id == bindparam("patient"))
    .values(end_time=func.app_now())
    .returning(Patient)
)


def lock(caller: Caller) -> Lock:
    """Lock the account under which dependants are counted."""
    if caller.user_id is None:
        raise Unauthenticated
    return Lock("SELECT FROM user_account WHERE user_id = {} FOR NO KEY UPDATE", caller.user_id)


async def add(
    tx: Transaction, *, full_name: str, relation: str, birth_date: date | None
) -> asyncpg.Record:
    """Add a dependant of the caller, under `lock`; TooManyDependants when there are many."""
    (row,) = await tx.all(_COUNT)
    if row["live"] >= MOST:
        raise TooManyDependants
    (added,) = await tx.all(
        _ADD, account=tx.user_id, name=full_name.strip(), kin=relation, born=birth_date
    )
    tx.record("dependant.added", added["patient_id"], fields=("full_name", "relation"))
    return added


async def dependants(
    tx: Transaction, *, ended: bool, after: tuple[datetime, UUID] | None, size: int
) -> list[asyncpg.Record]:
    """Read up to `size` dependants of the caller, with those who were `ended` or without."""
    start = {"after_time": after[0], "after_id": after[1]} if after else {}
    return await tx.all(_LIST, ended=ended, size=size, **start)


async def end(tx: Transaction, patient_id: UUID) -> asyncpg.Record:
    """End a dependant of the caller, under `lock`; NotFound for anybody else."""
    found = await tx.one(_FIND, patient=patient_id)
    if found is None:
        raise NotFound("There is no such dependant.")
    if found["end_time"]:
        return found
    (ended,) = await tx.all(_END, patient=patient_id)
    tx.record("dependant.ended", patient_id, fields=("end_time",))
    return ended
