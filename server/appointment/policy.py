"""How late the patients of a practice may cancel or move."""

from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import asyncpg
from sqlalchemy import any_, bindparam, func, or_, select
from sqlalchemy.dialects.postgresql import insert

from server.appointment.models import CancelPolicy
from server.appointment.refusals import TooLate
from server.core.db import Reader, Transaction, sql
from server.core.errors import NotFound
from server.directory import queries as directory

_PRACTICE = directory.practices()
_FIND = sql(
    select(_PRACTICE.c.practice_id, CancelPolicy.notice_minutes, CancelPolicy.update_time)
    .join_from(
        _PRACTICE, CancelPolicy, CancelPolicy.practice_id == _PRACTICE.c.practice_id, isouter=True
    )
    .where(_PRACTICE.c.practice_id == bindparam("practice"))
)
_OWN = sql(
    select(_PRACTICE.c.clinic_id).where(
        _PRACTICE.c.practice_id == bindparam("practice"),
        or_(
            _PRACTICE.c.doctor_id == func.app_user(),
            _PRACTICE.c.clinic_id == any_(func.app_clinics()),
        ),
    )
)
_SET = sql(
    insert(CancelPolicy)
    .values(
        practice_id=bindparam("practice"),
        clinic_id=bindparam("clinic"),
        notice_minutes=bindparam("notice"),
    )
    .on_conflict_do_update(
        index_elements=[CancelPolicy.practice_id],
        set_={"notice_minutes": bindparam("notice"), "update_time": func.app_now()},
    )
    .returning(CancelPolicy.update_time)
)


class Policy(NamedTuple):
    """Minutes before the start until which patients cancel and move; None was never set."""

    notice_minutes: int
    update_time: datetime | None


async def find(reader: Reader, practice_id: UUID) -> Policy:
    """Read the policy of a practice; NotFound when there is none such."""
    row = await reader.one(_FIND, practice=practice_id)
    if row is None:
        raise NotFound("There is no such practice.")
    return Policy(row["notice_minutes"] or 0, row["update_time"])


async def set_policy(tx: Transaction, practice_id: UUID, notice_minutes: int) -> Policy:
    """Set the policy of a practice whose hours the caller may edit; NotFound for another's."""
    practice = await tx.one(_OWN, practice=practice_id)
    if practice is None:
        raise NotFound("There is no such practice.")
    clinic_id = practice["clinic_id"]
    (row,) = await tx.all(_SET, practice=practice_id, clinic=clinic_id, notice=notice_minutes)
    tx.record("cancel_policy.set", practice_id, clinic_id=clinic_id, fields=("notice_minutes",))
    return Policy(notice_minutes, row["update_time"])


async def check(tx: Transaction, visit: asyncpg.Record) -> None:
    """Raise TooLate when the patient may cancel or move the visit no more."""
    if visit["status"] == "in_consultation" or visit["start_time"] <= tx.now:
        raise TooLate("The visit has begun; ask the clinic.")
    notice = (await find(tx, visit["practice_id"])).notice_minutes
    if visit["start_time"] - timedelta(minutes=notice) < tx.now:
        raise TooLate(
            f"The clinic asks for {notice} minutes of notice; ask the clinic.",
            metadata={"notice_minutes": str(notice)},
        )
