"""Search for doctors: a statement for each shape of a search, values always bound."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    Text,
    all_,
    any_,
    bindparam,
    exists,
    func,
    or_,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY

from server.core.db import Reader, sql
from server.core.statement import Statement
from server.directory.doctors import IS_ACTIVE, IS_VERIFIED
from server.directory.models import (
    City,
    Clinic,
    DoctorProfile,
    DoctorSpecialty,
    Practice,
    Specialty,
)
from server.directory.words import escaped

Order = Literal["rating", "fee", "experience"]


@dataclass(frozen=True, slots=True)
class Search:
    """What narrows a search; None and empty do not, but an empty `treating` finds nobody.

    `treating` are specialties of which the doctor has one; `text` words of which each is in the
    doctor's or the clinic's name. City, fee and clinic's name hold for one and the same practice.
    """

    specialties: Sequence[str] = ()
    treating: Sequence[UUID] | None = None
    city: str = ""
    text: str = ""
    min_fee: int | None = None
    max_fee: int | None = None
    min_rating: float | None = None
    practising_since: int | None = None
    languages: Sequence[str] = ()

    def values(self) -> dict[str, Any]:
        """Answer the parameters of the statement: those that narrow."""
        words = [f"%{escaped(word)}%" for word in self.text.lower().split()]
        given = {
            "specialties": list(self.specialties) or None,
            "treating": None if self.treating is None else list(self.treating),
            "city": self.city or None,
            "words": words or None,
            "min_fee": self.min_fee,
            "max_fee": self.max_fee,
            "min_rating": self.min_rating,
            "practising_since": self.practising_since,
            "languages": list(self.languages) or None,
        }
        return {name: value for name, value in given.items() if value is not None}


class Found(NamedTuple):
    """A doctor's place in the order asked for: the keyset of the page."""

    key: Any
    doctor_id: UUID


async def find(
    reader: Reader, search: Search, *, order: Order, after: Sequence[Any] | None, limit: int
) -> list[Found]:
    """Answer up to `limit` doctors behind the place `after`; None starts."""
    values = search.values()
    statement = _statement(frozenset(values), order, after is not None)
    if after is not None:
        values |= {"after_key": after[0], "after_id": after[1]}
    rows = await reader.all(statement, limit=limit, **values)
    return [Found(row["key"], row["doctor_id"]) for row in rows]


def _value(name: str, column: Any) -> Any:
    return bindparam(name, type_=column.type)


_HAS_SPECIALTY = exists().where(DoctorSpecialty.doctor_id == DoctorProfile.doctor_id)
_NAMES = func.lower(DoctorProfile.full_name + " " + Clinic.name)
_CITY_ID = select(City.city_id).where(City.slug == bindparam("city")).scalar_subquery()

# By the name of what narrows: conditions on the doctor, on the practice, on its clinic.
_DOCTOR = {
    "specialties": _HAS_SPECIALTY.where(
        DoctorSpecialty.specialty_id == Specialty.specialty_id,
        Specialty.slug == any_(bindparam("specialties", type_=ARRAY(Text))),
    ),
    "treating": _HAS_SPECIALTY.where(DoctorSpecialty.specialty_id == any_(bindparam("treating"))),
    "min_rating": DoctorProfile.rating >= bindparam("min_rating"),
    "practising_since": DoctorProfile.practising_since <= bindparam("practising_since"),
    "languages": DoctorProfile.languages.overlap(_value("languages", DoctorProfile.languages)),
}
_PRACTICE = {
    "min_fee": Practice.fee >= bindparam("min_fee"),
    "max_fee": Practice.fee <= bindparam("max_fee"),
}
_CLINIC = {
    "city": Clinic.city_id == _CITY_ID,
    "words": _NAMES.like(all_(bindparam("words", type_=ARRAY(Text)))),
}


@cache
def _statement(given: frozenset[str], order: Order, later: bool) -> Statement:
    """Build the statement of a shape: which filters are `given`, the order, first page or later."""
    query = _by_fee(given) if order == "fee" else _by_column(given, order)
    query = query.where(*_chosen(_DOCTOR, given), IS_VERIFIED)
    if later:
        query = _behind(query, order)
    return sql(query.limit(bindparam("limit", type_=Integer)))


def _chosen(
    conditions: dict[str, ColumnElement[bool]], given: frozenset[str]
) -> list[ColumnElement[bool]]:
    return [condition for name, condition in conditions.items() if name in given]


def _at_practice(given: frozenset[str]) -> list[ColumnElement[bool]]:
    """Answer what must hold for one practice; its clinic is looked at only when that matters."""
    conditions = [
        Practice.doctor_id == DoctorProfile.doctor_id,
        IS_ACTIVE,
        *_chosen(_PRACTICE, given),
    ]
    at_clinic = _chosen(_CLINIC, given)
    return (
        [*conditions, Clinic.clinic_id == Practice.clinic_id, *at_clinic]
        if at_clinic
        else conditions
    )


_KEYS: dict[str, Any] = {
    "rating": DoctorProfile.rank,
    "experience": DoctorProfile.practising_since,
    "fee": func.min(Practice.fee),
}


def _by_column(given: frozenset[str], order: Order) -> Select[*tuple[Any, ...]]:
    key = _KEYS[order]
    practice = exists().where(*_at_practice(given)).correlate(DoctorProfile)
    return (
        select(key.label("key"), DoctorProfile.doctor_id)
        .where(practice)
        .order_by(key.desc() if order == "rating" else key, DoctorProfile.doctor_id)
    )


def _by_fee(given: frozenset[str]) -> Select[*tuple[Any, ...]]:
    """Order by the lowest fee among the practices for which the filters hold."""
    key = _KEYS["fee"]
    return (
        select(key.label("key"), DoctorProfile.doctor_id)
        .where(*_at_practice(given))
        .group_by(DoctorProfile.doctor_id)
        .order_by(key, DoctorProfile.doctor_id)
    )


def _behind(query: Select[*tuple[Any, ...]], order: Order) -> Select[*tuple[Any, ...]]:
    key, place = _KEYS[order], DoctorProfile.doctor_id
    last_key, last_id = _value("after_key", key), _value("after_id", place)
    if order == "fee":
        return query.having(tuple_(key, place) > tuple_(last_key, last_id))
    if order == "experience":
        return query.where(tuple_(key, place) > tuple_(last_key, last_id))
    # The first half bounds the walk of the index, which runs down in one column, up in the other.
    return query.where(key <= last_key, or_(key < last_key, place > last_id))
