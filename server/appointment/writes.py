"""What every change of an appointment leaves behind: audit, news for both sides, the feed."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg

from server.core.db import Feed, Transaction

Row = asyncpg.Record | Mapping[str, Any]

# Whose values the audit keeps; of the others, which may say something of the patient, the name.
_KEPT = {"status", "start_time", "end_time", "previous_start_time", "confirm_time", "expire_time"}
# What a visit was that expires.
UNPAID = {"status": "pending_payment"}


def record(
    tx: Transaction,
    action: str,
    row: Row,
    *,
    fields: Sequence[str],
    before: Row | None = None,
) -> None:
    """Record a change of the appointment `row`, which is as it stands after the change.

    `before` is the row as it was; a new visit was nothing.
    """
    was = before or dict.fromkeys(fields)
    tx.record(
        action,
        row["appointment_id"],
        clinic_id=row["clinic_id"],
        patients=[row["patient_id"]],
        on_behalf_of=_dependant(tx, row),
        fields={name: (was[name], row[name]) if name in _KEPT else None for name in fields},
        event={
            "patient_id": row["patient_id"],
            "doctor_id": row["doctor_id"],
            "cancelled_by": row["cancelled_by"],
        },
        feed=Feed(
            "appointment",
            row["appointment_id"],
            {
                "status": row["status"],
                "practice_id": row["practice_id"],
                "doctor_id": row["doctor_id"],
                "patient_id": row["patient_id"],
                "visit_type_id": row["visit_type_id"],
                "start_time": row["start_time"],
                "end_time": row["end_time"],
                "confirm_time": row["confirm_time"],
            },
        ),
    )


def record_reads(
    tx: Transaction,
    action: str,
    rows: Sequence[Row],
    *,
    subject_id: UUID | None = None,
) -> None:
    """Record that the caller read visits of others: one row for each clinic, and its subject."""
    read = defaultdict(set)
    for row in rows:
        if tx.caller.key or row["account_id"] != tx.caller.user_id:
            read[row["clinic_id"]].add(row["patient_id"])
    for clinic_id, patients in read.items():
        subject = subject_id or clinic_id
        tx.record_read(action, subject, clinic_id=clinic_id, patients=sorted(patients))


def _dependant(tx: Transaction, row: Row) -> UUID | None:
    """Answer the dependant for whom the caller acts, if it is one."""
    actor, patient_id = tx.caller.user_id, row["patient_id"]
    acts_for = "account_id" in row and row["account_id"] == actor and patient_id != actor
    return patient_id if acts_for and actor else None
