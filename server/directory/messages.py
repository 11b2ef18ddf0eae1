"""Doctors, clinics and places as messages of the contract."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from asyncpg import Record
from google.type.latlng_pb2 import LatLng

from carelane.directory.v1 import (
    city_pb2,
    clinic_pb2,
    doctor_pb2,
    doctor_profile_pb2,
    specialty_pb2,
)
from carelane.directory.v1 import directory_service_pb2 as pb
from server.core.wire import EnumNames, from_money, from_time
from server.directory import doctors
from server.directory.search import Order

Row = Record | Mapping[str, Any]

ROLES = EnumNames(clinic_pb2.ClinicRole)
STATUSES = EnumNames(doctor_profile_pb2.VerificationStatus)
ORDERS: dict[int, Order] = {
    pb.DOCTOR_ORDER_UNSPECIFIED: "rating",
    pb.DOCTOR_ORDER_RATING: "rating",
    pb.DOCTOR_ORDER_FEE: "fee",
    pb.DOCTOR_ORDER_EXPERIENCE: "experience",
}
_KINDS = EnumNames(clinic_pb2.ClinicKind)


def specialty(row: Row) -> specialty_pb2.Specialty:
    return specialty_pb2.Specialty(
        specialty_id=str(row["specialty_id"]),
        slug=row["slug"],
        name=row["name"],
        practitioner=row["practitioner"],
        description=row["description"],
        symptoms=row["symptoms"] or (),
    )


def city(row: Row) -> city_pb2.City:
    return city_pb2.City(
        city_id=str(row["city_id"]),
        slug=row["slug"],
        name=row["name"],
        region=row["region"],
        country_code=row["country_code"],
        location=LatLng(latitude=row["latitude"], longitude=row["longitude"]),
        time_zone=row["time_zone"],
    )


def clinic(row: Row) -> clinic_pb2.Clinic:
    message = clinic_pb2.Clinic(
        clinic_id=str(row["clinic_id"]),
        name=row["name"],
        kind=_KINDS.number(row["kind"]),
        address=row["address"],
        city=row["city"],
        city_name=row["city_name"],
        time_zone=row["time_zone"],
        phone=row["phone"],
        currency_code=row["currency_code"],
    )
    if row["latitude"] is not None:
        message.location.latitude = row["latitude"]
        message.location.longitude = row["longitude"]
    return message


def my_clinic(row: Row) -> pb.MyClinic:
    return pb.MyClinic(clinic=clinic(row), role=ROLES.number(row["role"]))


def member(row: Row) -> clinic_pb2.ClinicMember:
    return clinic_pb2.ClinicMember(
        clinic_id=str(row["clinic_id"]),
        user_id=str(row["user_id"]),
        role=ROLES.number(row["role"]),
        full_name=row["full_name"],
        email=row["email"],
        create_time=from_time(row["create_time"]),
    )


def doctor(row: Record, now: datetime) -> doctor_pb2.Doctor:
    """Write a doctor; `now` is the instant at which the years in practice are counted."""
    specialties = doctors.specialties(row)
    return doctor_pb2.Doctor(
        doctor_id=str(row["doctor_id"]),
        full_name=row["full_name"],
        specialties=[slug for slug, _ in specialties],
        specialty_names=[name for _, name in specialties],
        qualifications=row["qualifications"],
        experience_years=max(0, now.year - row["practising_since"]),
        languages=row["languages"],
        bio=row["bio"],
        rating=row["rating"],
        rating_count=row["rating_count"],
        practices=map(_practice, doctors.practices(row)),
    )


def _practice(row: dict[str, Any]) -> doctor_pb2.Practice:
    return doctor_pb2.Practice(
        practice_id=str(row["practice_id"]),
        doctor_id=str(row["doctor_id"]),
        clinic=clinic(row),
        fee=from_money(row["fee"], row["currency_code"]),
        visit_types=[_visit_type(each, row["currency_code"]) for each in doctors.visit_types(row)],
    )


def _visit_type(row: Row, currency: str) -> doctor_pb2.VisitType:
    return doctor_pb2.VisitType(
        visit_type_id=str(row["visit_type_id"]),
        name=row["name"],
        length_minutes=row["length_minutes"],
        buffer_before_minutes=row["buffer_before_minutes"],
        buffer_after_minutes=row["buffer_after_minutes"],
        price=from_money(row["price"], currency),
    )


def set_next_free(message: doctor_pb2.Doctor, free: Mapping[UUID, datetime]) -> None:
    """Fill in the first free time of each practice, and of all of them."""
    for practice in message.practices:
        start = free.get(UUID(practice.practice_id))
        if start:
            practice.next_free_time.CopyFrom(from_time(start))
    if free:
        message.next_free_time.CopyFrom(from_time(min(free.values())))


def profile(row: Record, request: Row | None, now: datetime) -> doctor_profile_pb2.DoctorProfile:
    """Write a profile; `request` is the doctor's newest one to be verified."""
    message = doctor_profile_pb2.DoctorProfile(
        doctor=doctor(row, now),
        practising_since=row["practising_since"],
        verification_status=STATUSES.number(row["verification_status"]),
        create_time=from_time(row["create_time"]),
        update_time=from_time(row["update_time"]),
        etag=str(row["revision"]),
    )
    if request:
        message.licence.number = request["licence_number"]
        message.licence.council = request["licence_council"]
        message.licence.year = request["licence_year"]
        message.rejection_reason = request["reason"] if request["status"] == "rejected" else ""
    return message
