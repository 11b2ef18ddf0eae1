"""Write appointments as messages."""

from datetime import datetime
from uuid import UUID

import asyncpg
from google.protobuf.timestamp_pb2 import Timestamp

from carelane.appointment.v1 import appointment_pb2 as pb
from carelane.appointment.v1 import cancel_policy_pb2, hold_pb2, transaction_pb2
from server.core import wire

STATUSES = wire.EnumNames(pb.AppointmentStatus)
_PARTIES = wire.EnumNames(pb.AppointmentParty)
_PAYMENT_STATUSES = wire.EnumNames(transaction_pb2.TransactionStatus)
_METHODS = wire.EnumNames(transaction_pb2.PaymentMethod)


def from_row(row: asyncpg.Record) -> pb.Appointment:
    """Write a row of `view`."""
    return pb.Appointment(
        appointment_id=str(row["appointment_id"]),
        status=STATUSES.number(row["status"]),
        start_time=wire.from_time(row["start_time"]),
        end_time=wire.from_time(row["end_time"]),
        time_zone=row["time_zone"],
        practice_id=str(row["practice_id"]),
        visit_type_id=str(row["visit_type_id"]),
        visit_type_name=row["visit_type_name"],
        doctor_id=str(row["doctor_id"]),
        doctor_name=row["doctor_name"],
        clinic_id=str(row["clinic_id"]),
        clinic_name=row["clinic_name"],
        clinic_address=row["clinic_address"],
        patient=_patient(row),
        reason=_told(row, "reason"),
        price=wire.from_money(row["price"], row["currency_code"]),
        transaction=_transaction(row),
        create_time=wire.from_time(row["create_time"]),
        update_time=wire.from_time(row["update_time"]),
        confirm_time=_time(row["confirm_time"]),
        cancelled_by=_PARTIES.number(row["cancelled_by"]),
        cancel_reason=_told(row, "cancel_reason"),
        etag=etag(row),
        previous_start_time=_time(row["previous_start_time"]),
        expire_time=_time(row["expire_time"]),
        follows_appointment_id=str(row["follows_id"] or ""),
        series_id=str(row["series_id"] or ""),
    )


def etag(row: asyncpg.Record) -> str:
    """Write the etag of an appointment."""
    return f"r{row['revision']}"


def _time(instant: datetime | None) -> Timestamp | None:
    return wire.from_time(instant) if instant else None


def from_hold(row: asyncpg.Record) -> hold_pb2.Hold:
    """Write a hold."""
    return hold_pb2.Hold(
        hold_id=str(row["hold_id"]),
        practice_id=str(row["practice_id"]),
        visit_type_id=str(row["visit_type_id"]),
        start_time=wire.from_time(row["start_time"]),
        end_time=wire.from_time(row["end_time"]),
        expire_time=wire.from_time(row["expire_time"]),
    )


def from_policy(
    practice_id: UUID, notice_minutes: int, update_time: datetime | None
) -> cancel_policy_pb2.CancelPolicy:
    """Write a cancel policy."""
    return cancel_policy_pb2.CancelPolicy(
        practice_id=str(practice_id),
        notice_minutes=notice_minutes,
        update_time=_time(update_time),
    )


def _told(row: asyncpg.Record, name: str) -> str:
    """Write what was told about the patient, for those who see the patient."""
    return str(row[name]) if row["account_id"] else ""


def _patient(row: asyncpg.Record) -> pb.Patient:
    return pb.Patient(
        patient_id=str(row["patient_id"]),
        full_name=row["patient_name"] or "",
        phone=row["patient_phone"] or "",
    )


def _transaction(row: asyncpg.Record) -> transaction_pb2.Transaction | None:
    if row["transaction_id"] is None:
        return None
    return transaction_pb2.Transaction(
        transaction_id=str(row["transaction_id"]),
        status=_PAYMENT_STATUSES.number(row["payment_status"]),
        method=_METHODS.number(row["method"]),
        amount=wire.from_money(row["amount"], row["currency_code"]),
        settle_time=_time(row["settle_time"]),
    )
