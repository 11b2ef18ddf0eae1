"""Convert what suits, entries and offers between messages and plain values."""

from typing import Any
from uuid import UUID

import asyncpg
from google.type import timeofday_pb2

from carelane.waitlist.v1 import waitlist_pb2 as pb
from carelane.waitlist.v1 import waitlist_service_pb2 as service_pb
from server.core import wire
from server.waitlist.entries import Wish

STATUSES = wire.EnumNames(pb.WaitlistStatus)
LAST_MINUTE = 24 * 60 - 1


def to_wish(request: service_pb.JoinWaitlistRequest, caller_id: UUID) -> Wish:
    """Read what suits whom, the caller by default; InvalidField for days that do not exist."""
    return Wish(
        patient_id=wire.to_optional_id(request.patient_id, "patient_id") or caller_id,
        weekdays=tuple(request.days_of_week),
        earliest=_minute(request.earliest),
        latest=_minute(request.latest) if request.HasField("latest") else LAST_MINUTE,
        from_date=wire.to_optional_date(request, "from_date"),
        until_date=wire.to_date(request.until_date, "until_date"),
    )


def from_row(row: asyncpg.Record) -> pb.WaitlistEntry:
    """Write a row of `view`."""
    return pb.WaitlistEntry(
        entry_id=str(row["entry_id"]),
        status=STATUSES.number(row["status"]),
        practice_id=str(row["wanted_practice_id"] or ""),
        visit_type_id=str(row["visit_type_id"] or ""),
        doctor_name=row["doctor_name"],
        clinic_name=row["clinic_name"],
        specialty=row["specialty"],
        city=row["city"],
        days_of_week=row["weekdays"],
        earliest=_time(row["earliest_minute"]),
        latest=_time(row["latest_minute"]),
        from_date=wire.from_date(row["from_date"]),
        until_date=wire.from_date(row["until_date"]),
        create_time=wire.from_time(row["create_time"]),
        offer=_offer(row),
        patient=pb.WaitingPatient(
            patient_id=str(row["patient_id"]), full_name=row["patient_name"] or ""
        ),
    )


def _offer(row: asyncpg.Record) -> pb.WaitlistOffer | None:
    if row["offer_id"] is None:
        return None
    return pb.WaitlistOffer(
        offer_id=str(row["offer_id"]),
        practice_id=str(row["offer_practice_id"]),
        visit_type_id=str(row["offer_visit_type_id"]),
        start_time=wire.from_time(row["start_time"]),
        end_time=wire.from_time(row["end_time"]),
        expire_time=wire.from_time(row["expire_time"]),
    )


def _minute(time: Any) -> int:
    return int(time.hours * 60 + time.minutes)


def _time(minute: int) -> Any:
    return timeofday_pb2.TimeOfDay(hours=minute // 60, minutes=minute % 60)
