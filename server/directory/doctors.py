"""Doctors as they are shown: with specialties, practices, clinics and visit types."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from asyncpg import Record
from sqlalchemy import ScalarSelect, Text, any_, bindparam, cast, func, literal_column, select
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by

from server.core.db import Reader, sql
from server.core.errors import NotFound
from server.directory.models import (
    City,
    Clinic,
    DoctorProfile,
    DoctorSpecialty,
    Practice,
    Specialty,
    VisitType,
)

# Written out, not bound: only so does the planner know the partial indexes to fit.
IS_VERIFIED = DoctorProfile.verification_status == literal_column("'verified'")
IS_ACTIVE = Practice.status == literal_column("'active'")


def _object(**columns: Any) -> Any:
    """Write a JSON object; amounts go as text, since a JSON number may lose digits."""
    parts: list[Any] = []
    for name, column in columns.items():
        parts += (literal_column(f"'{name}'"), column)
    return func.jsonb_build_object(*parts, type_=JSONB)


def _specialties(column: Any) -> ScalarSelect[Any]:
    """Collect a column of the doctor's specialties, the main one first."""
    return (
        select(func.array_agg(aggregate_order_by(column, DoctorSpecialty.position)))
        .join(DoctorSpecialty, DoctorSpecialty.specialty_id == Specialty.specialty_id)
        .where(DoctorSpecialty.doctor_id == DoctorProfile.doctor_id)
        .scalar_subquery()
    )


_VISIT_TYPE = _object(
    visit_type_id=VisitType.visit_type_id,
    name=VisitType.name,
    length_minutes=VisitType.length_minutes,
    buffer_before_minutes=VisitType.buffer_before_minutes,
    buffer_after_minutes=VisitType.buffer_after_minutes,
    price=cast(VisitType.price, Text),
)
_VISIT_TYPES = (
    select(
        func.jsonb_agg(aggregate_order_by(_VISIT_TYPE, VisitType.is_default.desc(), VisitType.name))
    )
    .where(VisitType.practice_id == Practice.practice_id)
    .scalar_subquery()
)
_CLINIC = _object(
    clinic_id=Clinic.clinic_id,
    name=Clinic.name,
    kind=Clinic.kind,
    address=Clinic.address,
    city=City.slug,
    city_name=City.name,
    latitude=Clinic.latitude,
    longitude=Clinic.longitude,
    time_zone=Clinic.time_zone,
    phone=Clinic.phone,
    currency_code=Clinic.currency_code,
)
_PRACTICE = _object(
    practice_id=Practice.practice_id,
    doctor_id=Practice.doctor_id,
    fee=cast(Practice.fee, Text),
    clinic=_CLINIC,
    visit_types=_VISIT_TYPES,
)
_PRACTICES = (
    select(
        func.jsonb_agg(aggregate_order_by(_PRACTICE, Practice.create_time, Practice.practice_id))
    )
    .join(Clinic, Clinic.clinic_id == Practice.clinic_id)
    .join(City, City.city_id == Clinic.city_id)
    .where(Practice.doctor_id == DoctorProfile.doctor_id, IS_ACTIVE)
    .scalar_subquery()
)
_DOCTORS = select(
    *DoctorProfile.__table__.columns,
    _specialties(Specialty.slug).label("specialties"),
    _specialties(Specialty.name).label("specialty_names"),
    _PRACTICES.label("practices"),
)

GET = sql(_DOCTORS.where(DoctorProfile.doctor_id == bindparam("id")))
GET_MANY = sql(_DOCTORS.where(DoctorProfile.doctor_id == any_(bindparam("ids")), IS_VERIFIED))
GET_VERIFIED = sql(_DOCTORS.where(DoctorProfile.doctor_id == bindparam("id"), IS_VERIFIED))


async def verified(reader: Reader, doctor_id: UUID) -> Record:
    """Answer a doctor that everyone may see; NotFound for any other."""
    row = await reader.one(GET_VERIFIED, id=doctor_id)
    if row is None:
        raise NotFound
    return row


async def in_order(reader: Reader, doctor_ids: Sequence[UUID]) -> list[Record]:
    """Answer those with these ids whom everyone may see, in their order, in one query."""
    if not doctor_ids:
        return []
    rows = {row["doctor_id"]: row for row in await reader.all(GET_MANY, ids=list(doctor_ids))}
    return [rows[doctor_id] for doctor_id in doctor_ids if doctor_id in rows]
