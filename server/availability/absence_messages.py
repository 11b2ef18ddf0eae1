"""Write time off, closures and public holidays as messages."""

from uuid import UUID

from asyncpg import Record

from carelane.availability.v1 import time_off_pb2 as pb
from server.availability import holidays
from server.availability.holidays import Kept
from server.core import wire


def from_time_off(row: Record) -> pb.TimeOff:
    """Write time off."""
    return pb.TimeOff(
        time_off_id=str(row["time_off_id"]),
        doctor_id=str(row["doctor_id"]),
        start_time=wire.from_time(row["start_time"]),
        end_time=wire.from_time(row["end_time"]),
        practice_id=str(row["practice_id"] or ""),
    )


def from_closure(row: Record) -> pb.Closure:
    """Write a closure."""
    return pb.Closure(
        closure_id=str(row["closure_id"]),
        clinic_id=str(row["clinic_id"]),
        first_date=wire.from_date(row["first_day"]),
        last_date=wire.from_date(row["last_day"]),
        name=row["name"],
    )


def from_kept(clinic_id: UUID, kept: Kept, revision: int, year: int) -> pb.PublicHolidays:
    """Write the public holidays of a year."""
    return pb.PublicHolidays(
        clinic_id=str(clinic_id),
        observed=kept.observed,
        country_code=kept.country_code,
        subdivision=kept.subdivision,
        open_on=kept.open_on,
        holidays=[
            pb.PublicHoliday(
                date=wire.from_date(day),
                name=name,
                open=not kept.observed or holidays.is_open(name, kept.open_on),
            )
            for day, name in holidays.of_year(kept.country_code, kept.subdivision, year)
        ],
        etag=etag(revision),
    )


def etag(revision: int) -> str:
    """Write a revision as an etag."""
    return f"h{revision}"
