"""What everyone may look up: specialties, cities and hospitals."""

from collections.abc import Sequence
from functools import cache
from typing import Any
from uuid import UUID

from asyncpg import Record
from sqlalchemy import Text, any_, bindparam, func, literal_column, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from server.core.db import Reader, sql
from server.directory.keyset import Listing
from server.directory.models import City, Clinic, Specialty, Symptom
from server.directory.words import escaped

_WORDS = (
    select(
        func.array_agg(aggregate_order_by(Symptom.phrase, Symptom.weight.desc(), Symptom.phrase))
    )
    .where(Symptom.specialty_id == Specialty.specialty_id)
    .scalar_subquery()
)
_SPECIALTIES = select(
    Specialty.specialty_id,
    Specialty.slug,
    Specialty.name,
    Specialty.practitioner,
    Specialty.description,
    _WORDS.label("symptoms"),
)
CLINICS = select(
    Clinic.clinic_id,
    Clinic.name,
    Clinic.kind,
    Clinic.address,
    City.slug.label("city"),
    City.name.label("city_name"),
    Clinic.latitude,
    Clinic.longitude,
    Clinic.time_zone,
    Clinic.phone,
    Clinic.currency_code,
).join(City, City.city_id == Clinic.city_id)

SPECIALTIES = Listing(_SPECIALTIES, Specialty.name, Specialty.specialty_id)
GET_SPECIALTIES = sql(_SPECIALTIES.where(Specialty.specialty_id == any_(bindparam("ids"))))
FIND_SPECIALTIES = sql(
    select(Specialty.specialty_id, Specialty.slug).where(Specialty.slug == any_(bindparam("slugs")))
)
FIND_CITY = sql(select(*City.__table__.columns).where(City.slug == bindparam("name")))


async def specialties_by_name(
    reader: Reader, *, after: Sequence[Any] | None, limit: int
) -> list[Record]:
    """Answer a page of all specialties; `after` is name and id of the last row before."""
    return await SPECIALTIES.page(reader, after=after, limit=limit)


async def specialties_by_score(
    reader: Reader, scores: dict[UUID, int], *, after: Sequence[Any] | None, limit: int
) -> list[Record]:
    """Answer a page of the specialties in `scores`, the highest score first.

    `after` is score and id of the last row before.
    """
    ranked = sorted((-score, specialty_id) for specialty_id, score in scores.items())
    if after:
        ranked = [place for place in ranked if place > (-after[0], after[1])]
    ids = [specialty_id for _, specialty_id in ranked[:limit]]
    rows = {row["specialty_id"]: row for row in await reader.all(GET_SPECIALTIES, ids=ids)}
    return [rows[specialty_id] for specialty_id in ids if specialty_id in rows]


async def specialty_ids(reader: Reader, slugs: Sequence[str]) -> dict[str, UUID]:
    """Answer the ids of those of the slugs that exist."""
    rows = await reader.all(FIND_SPECIALTIES, slugs=list(slugs))
    return {row["slug"]: row["specialty_id"] for row in rows}


async def city(reader: Reader, slug: str) -> Record | None:
    """Answer the city with this slug."""
    return await reader.one(FIND_CITY, name=slug)


async def cities(
    reader: Reader, *, country: str, prefix: str, after: Sequence[Any] | None, limit: int
) -> list[Record]:
    """Answer a page of cities by name; an empty `country` or `prefix` does not narrow.

    `after` is name and id of the last row before.
    """
    values = {"country": country} if country else {}
    if prefix:
        values["pattern"] = f"{escaped(prefix.lower())}%"
    listing = _cities(bool(country), bool(prefix))
    return await listing.page(reader, after=after, limit=limit, **values)


@cache
def _cities(of_country: bool, with_prefix: bool) -> Listing:
    query = select(*City.__table__.columns)
    if of_country:
        query = query.where(City.country_code == bindparam("country"))
    if with_prefix:
        query = query.where(func.lower(City.name).like(bindparam("pattern", type_=Text)))
    return Listing(query, City.name, City.city_id)


async def hospitals(
    reader: Reader, *, city: str, after: Sequence[Any] | None, limit: int
) -> list[Record]:
    """Answer a page of hospitals by name; an empty `city` (a slug) does not narrow.

    `after` is name and id of the last row before.
    """
    values = {"city": city} if city else {}
    return await _hospitals(bool(city)).page(reader, after=after, limit=limit, **values)


@cache
def _hospitals(in_city: bool) -> Listing:
    query = CLINICS.where(Clinic.kind == literal_column("'hospital'"))
    if in_city:
        query = query.where(City.slug == bindparam("city"))
    return Listing(query, Clinic.name, Clinic.clinic_id)
