"""Doctors as they are shown: with specialties, practices, clinics and visit types."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from asyncpg import Record
from sqlalchemy import any_, bindparam, func, literal_column, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

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


# Rows within a row: PostgreSQL sends them as arrays of unnamed records, in the order of these.
# JSON would take it more than twice as long to write.
_VISIT_TYPE = {
    "visit_type_id": VisitType.visit_type_id,
    "name": VisitType.name,
    "length_minutes": VisitType.length_minutes,
    "buffer_before_minutes": VisitType.buffer_before_minutes,
    "buffer_after_minutes": VisitType.buffer_after_minutes,
    "price": VisitType.price,
}
_VISIT_TYPES = (
    select(
        func.array_agg(
            aggregate_order_by(
                func.row(*_VISIT_TYPE.values()), VisitType.is_default.desc(), VisitType.name
            )
        )
    )
    .where(VisitType.practice_id == Practice.practice_id, ~VisitType.retired)
    .scalar_subquery()
)
_PRACTICE = {
    "practice_id": Practice.practice_id,
    "doctor_id": Practice.doctor_id,
    "fee": Practice.fee,
    "clinic_id": Clinic.clinic_id,
    "name": Clinic.name,
    "kind": Clinic.kind,
    "address": Clinic.address,
    "city": City.slug,
    "city_name": City.name,
    "latitude": Clinic.latitude,
    "longitude": Clinic.longitude,
    "time_zone": Clinic.time_zone,
    "phone": Clinic.phone,
    "currency_code": Clinic.currency_code,
    "visit_types": _VISIT_TYPES,
}
_PRACTICES = (
    select(
        func.array_agg(
            aggregate_order_by(
                func.row(*_PRACTICE.values()), Practice.create_time, Practice.practice_id
            )
        )
    )
    .select_from(Practice)
    .join(Clinic, Clinic.clinic_id == Practice.clinic_id)
    .join(City, City.city_id == Clinic.city_id)
    .where(Practice.doctor_id == DoctorProfile.doctor_id, IS_ACTIVE)
    .scalar_subquery()
)
_SPECIALTIES = (
    select(
        func.array_agg(
            aggregate_order_by(func.row(Specialty.slug, Specialty.name), DoctorSpecialty.position)
        )
    )
    .select_from(Specialty)
    .join(DoctorSpecialty, DoctorSpecialty.specialty_id == Specialty.specialty_id)
    .where(DoctorSpecialty.doctor_id == DoctorProfile.doctor_id)
    .scalar_subquery()
)
_DOCTORS = select(
    *DoctorProfile.__table__.columns,
    _SPECIALTIES.label("specialties"),
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


def specialties(row: Record) -> list[tuple[str, str]]:
    """Answer slug and name of a doctor's specialties, the main one first."""
    return [(slug, name) for slug, name in row["specialties"] or ()]


def practices(row: Record) -> list[dict[str, Any]]:
    """Answer a doctor's practices with their clinics, the oldest first."""
    return [dict(zip(_PRACTICE, each, strict=True)) for each in row["practices"] or ()]


def visit_types(practice: dict[str, Any]) -> list[dict[str, Any]]:
    """Answer what can be booked at one of `practices`, the usual one first."""
    return [dict(zip(_VISIT_TYPE, each, strict=True)) for each in practice["visit_types"] or ()]
