"""Write what was done as messages."""

from typing import Any
from uuid import UUID

import asyncpg

from carelane.audit.v1 import audit_pb2 as pb
from server.core import wire


def from_entry(row: asyncpg.Record) -> pb.AuditEntry:
    """Write a row of the audit."""
    values = row["changes"] or {}
    return pb.AuditEntry(
        audit_entry_id=str(row["audit_id"]),
        create_time=wire.from_time(row["create_time"]),
        actor_id=_id(row["actor_id"]),
        on_behalf_of_id=_id(row["on_behalf_of_id"]),
        clinic_id=_id(row["clinic_id"]),
        act=row["action"],
        object_kind=_kind(row["action"]),
        object_id=str(row["subject_id"]),
        patient_ids=map(str, row["patient_ids"] or ()),
        changes=[_change(name, values.get(name)) for name in row["fields"]],
        request_id=row["request_id"] or "",
        seal_number=row["seal_number"] or 0,
    )


def from_access(row: asyncpg.Record, caller_id: UUID) -> pb.AccessEntry:
    """Write what was done with data of the caller."""
    party = _party(row, caller_id)
    return pb.AccessEntry(
        access_entry_id=str(row["audit_id"]),
        create_time=wire.from_time(row["create_time"]),
        party=party,
        doctor_name=row["doctor_name"] if party == pb.ACCESS_PARTY_DOCTOR else "",
        clinic_id=_id(row["clinic_id"]),
        clinic_name=row["clinic_name"] or "",
        act=row["action"],
        object_kind=_kind(row["action"]),
        object_id=str(row["subject_id"]),
        patient_ids=map(str, row["patient_ids"]),
        fields=row["fields"],
    )


def _party(row: asyncpg.Record, caller_id: UUID) -> Any:
    if row["actor_id"] == caller_id:
        return pb.ACCESS_PARTY_SELF
    if row["doctor_name"]:
        return pb.ACCESS_PARTY_DOCTOR
    at_clinic = row["actor_id"] and row["clinic_id"]
    return pb.ACCESS_PARTY_CLINIC if at_clinic else pb.ACCESS_PARTY_PLATFORM


def _kind(action: str) -> str:
    return action.partition(".")[0]


def _change(name: str, values: list[Any] | None) -> pb.FieldChange:
    before, after = values or (None, None)
    return pb.FieldChange(field=name, before=_text(before), after=_text(after))


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return str(value).lower()


def _id(value: UUID | None) -> str:
    return str(value or "")
