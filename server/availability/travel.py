"""How long a doctor is on the way between two clinics."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from asyncpg import Record
from sqlalchemy import any_, bindparam, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from server.availability.models import TravelTime
from server.core.db import Transaction, sql
from server.core.errors import InvalidField, NotFound
from server.directory import queries as directory
from server.directory.keyset import Listing

_PRACTICE = directory.practices()
_COUNT_PRACTICES = sql(
    select(func.count().label("count")).where(
        _PRACTICE.c.doctor_id == bindparam("doctor"),
        _PRACTICE.c.clinic_id == any_(bindparam("clinics")),
    )
)
_PAIR: dict[str, Any] = {
    "doctor_id": bindparam("doctor"),
    "first_clinic_id": bindparam("first"),
    "second_clinic_id": bindparam("second"),
}
_SET = sql(
    insert(TravelTime)
    .values(minutes=bindparam("length"), **_PAIR)
    .on_conflict_do_update(
        index_elements=[getattr(TravelTime, name) for name in _PAIR],
        set_={"minutes": bindparam("length")},
    )
)
_FORGET = sql(
    delete(TravelTime).where(*(getattr(TravelTime, name) == value for name, value in _PAIR.items()))
)
_LIST = Listing(
    select(TravelTime.first_clinic_id, TravelTime.second_clinic_id, TravelTime.minutes).where(
        TravelTime.doctor_id == bindparam("doctor")
    ),
    TravelTime.first_clinic_id,
    TravelTime.second_clinic_id,
)


async def set_minutes(tx: Transaction, clinic_id: UUID, other_id: UUID, minutes: int) -> None:
    """Set the way of the calling doctor, whose calendar must be locked; 0 forgets it.

    Raises InvalidField, and NotFound for a clinic at which the doctor does not practise.
    """
    if clinic_id == other_id:
        raise InvalidField("other_clinic_id", "must be another clinic")
    first, second = sorted((clinic_id, other_id))
    found = await tx.one(_COUNT_PRACTICES, doctor=tx.user_id, clinics=[first, second])
    if found is None or found["count"] < len((first, second)):
        raise NotFound("There is no such clinic.")
    pair = {"doctor": tx.user_id, "first": first, "second": second}
    if minutes:
        await tx.run(_SET, length=minutes, **pair)
    else:
        await tx.run(_FORGET, **pair)
    tx.record("travel_time.set", tx.user_id, fields=("minutes",))


async def of_doctor(tx: Transaction, *, after: Sequence[Any] | None, limit: int) -> list[Record]:
    """Answer a page of what the calling doctor has set, by clinic."""
    return await _LIST.page(tx, doctor=tx.user_id, after=after, limit=limit)
