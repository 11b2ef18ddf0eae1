"""Verifications and figures as messages of the contract."""

from decimal import Decimal

from asyncpg import Record

from carelane.admin.v1 import analytics_pb2, verification_pb2
from carelane.appointment.v1 import appointment_pb2
from carelane.directory.v1 import doctor_profile_pb2
from server.admin.service import Figures
from server.appointment.statistics import Revenue
from server.core.period import Counts
from server.core.wire import EnumNames, from_date, from_money, from_time

APPOINTMENT_STATUSES = EnumNames(appointment_pb2.AppointmentStatus)
VERIFICATION_STATUSES = EnumNames(doctor_profile_pb2.VerificationStatus)


def verification(row: Record) -> verification_pb2.Verification:
    """Write a request to be verified with its evidence."""
    return verification_pb2.Verification(
        verification_id=str(row["verification_id"]),
        doctor_id=str(row["doctor_id"]),
        full_name=row["full_name"],
        qualifications=row["qualifications"],
        specialties=row["specialties"],
        practising_since=row["practising_since"],
        licence=doctor_profile_pb2.Licence(
            number=row["licence_number"],
            council=row["licence_council"],
            year=row["licence_year"],
        ),
        status=VERIFICATION_STATUSES.number(row["status"]),
        create_time=from_time(row["create_time"]),
        decide_time=from_time(row["decide_time"]) if row["decide_time"] else None,
        reason=row["reason"],
    )


def analytics(figures: Figures) -> analytics_pb2.Analytics:
    """Write the figures of a period; the states in the order of the contract."""
    by_status = [
        analytics_pb2.StatusCount(status=APPOINTMENT_STATUSES.number(status), count=count)
        for status, count in figures.by_status
    ]
    return analytics_pb2.Analytics(
        from_date=from_date(figures.period.first),
        until_date=from_date(figures.period.last),
        user_count=figures.users.total,
        verified_doctor_count=figures.doctors.verified,
        pending_doctor_count=figures.doctors.pending,
        new_users=_growth(figures.users.new),
        new_doctors=_growth(figures.doctors.new),
        appointments=_growth(figures.visits),
        appointments_by_status=sorted(by_status, key=lambda each: each.status),
        appointments_by_day=[
            analytics_pb2.DayCount(
                date=from_date(day), count=visits, completed=completed, cancelled=cancelled
            )
            for day, visits, completed, cancelled in figures.days
        ],
        revenue=[_revenue(each) for each in figures.revenue],
    )


def _growth(counts: Counts) -> analytics_pb2.Growth:
    return analytics_pb2.Growth(
        current=counts.current, previous=counts.previous, ratio=_ratio(*counts)
    )


def _revenue(revenue: Revenue) -> analytics_pb2.Revenue:
    code, current, previous = revenue
    return analytics_pb2.Revenue(
        current=from_money(current, code),
        previous=from_money(previous, code),
        ratio=_ratio(current, previous),
    )


def _ratio(current: int | Decimal, previous: int | Decimal) -> float | None:
    """Answer the growth as a share of what was; None when there was nothing."""
    return float((current - previous) / previous) if previous else None
