"""What other domains may read of the directory, as selectables for their own statements."""

from sqlalchemy import Subquery, and_, func, select

from server.directory.models import (
    City,
    Clinic,
    ClinicMember,
    DoctorProfile,
    DoctorSpecialty,
    Practice,
    Specialty,
    VisitType,
)


def practices() -> Subquery:
    """One row a practice, with its doctor's and clinic's names, zone and currency.

    `bookable` says that the doctor is verified and the practice active.
    """
    return (
        select(
            Practice.practice_id,
            Practice.doctor_id,
            Practice.clinic_id,
            Practice.create_time,
            DoctorProfile.full_name.label("doctor_name"),
            Clinic.name.label("clinic_name"),
            (Clinic.address + ", " + City.name).label("clinic_address"),
            Clinic.time_zone,
            Clinic.currency_code,
            and_(
                DoctorProfile.verification_status == "verified", Practice.status == "active"
            ).label("bookable"),
        )
        .join(DoctorProfile, DoctorProfile.doctor_id == Practice.doctor_id)
        .join(Clinic, Clinic.clinic_id == Practice.clinic_id)
        .join(City, City.city_id == Clinic.city_id)
        .subquery("practices")
    )


def clinics() -> Subquery:
    """One row a clinic: its zone and its country."""
    return (
        select(Clinic.clinic_id, Clinic.time_zone, City.country_code)
        .join(City, City.city_id == Clinic.city_id)
        .subquery("clinics")
    )


def doctor_names() -> Subquery:
    """One row a doctor, with the name that everybody sees."""
    return select(DoctorProfile.doctor_id, DoctorProfile.full_name.label("doctor_name")).subquery(
        "doctor_names"
    )


def clinic_names() -> Subquery:
    """One row a clinic, with its name."""
    return select(Clinic.clinic_id, Clinic.name.label("clinic_name")).subquery("clinic_names")


def visit_types() -> Subquery:
    """One row a visit type that is offered: length, buffers, grid, horizon, limits, price."""
    every = every_visit_type()
    return select(every).where(~every.c.retired).subquery("visit_types")


def every_visit_type() -> Subquery:
    """The same with those that are `retired`: visits of them are still booked."""
    return select(
        VisitType.visit_type_id,
        VisitType.practice_id,
        VisitType.name.label("visit_type_name"),
        VisitType.length_minutes,
        VisitType.buffer_before_minutes,
        VisitType.buffer_after_minutes,
        VisitType.interval_minutes,
        VisitType.offset_minutes,
        VisitType.from_opening,
        VisitType.notice_minutes,
        VisitType.horizon_days,
        VisitType.business_days,
        VisitType.capacity,
        VisitType.day_visits,
        VisitType.day_minutes,
        VisitType.week_visits,
        VisitType.week_minutes,
        VisitType.price,
        VisitType.follow_up_days,
        VisitType.follow_up_price,
        VisitType.is_default,
        VisitType.retired,
    ).subquery("every_visit_type")


def verified_doctors() -> Subquery:
    """The ids of the doctors whom everyone may see."""
    return (
        select(DoctorProfile.doctor_id)
        .where(DoctorProfile.verification_status == "verified")
        .subquery("verified_doctors")
    )


def fields() -> Subquery:
    """One row a practice and specialty of its doctor, with the clinic's city."""
    return (
        select(
            Practice.practice_id,
            Practice.doctor_id,
            DoctorSpecialty.specialty_id,
            Clinic.city_id,
        )
        .join(DoctorSpecialty, DoctorSpecialty.doctor_id == Practice.doctor_id)
        .join(Clinic, Clinic.clinic_id == Practice.clinic_id)
        .where(Practice.status == "active")
        .subquery("fields")
    )


def own_work() -> Subquery:
    """Where the caller works: clinics by id, and their own id when they have a doctor's profile."""
    clinics_of = select(ClinicMember.clinic_id.label("place")).where(
        ClinicMember.user_id == func.app_user()
    )
    profile = select(DoctorProfile.doctor_id).where(DoctorProfile.doctor_id == func.app_user())
    return clinics_of.union_all(profile).subquery("own_work")


def slugs() -> tuple[Subquery, Subquery]:
    """The slugs of specialties and of cities, by id."""
    specialties = select(Specialty.specialty_id, Specialty.slug).subquery("specialty_slugs")
    return specialties, select(City.city_id, City.slug).subquery("city_slugs")
