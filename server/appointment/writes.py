"""What every change of an appointment leaves behind: audit, news for both sides, the feed."""

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from server.core.db import Feed, Transaction

Visit = asyncpg.Record | Mapping[str, Any]


def record(tx: Transaction, action: str, row: Visit, *, fields: Sequence[str]) -> None:
    """Record a change of the appointment `row`, which is as it stands after the change."""
    tx.record(
        action,
        row["appointment_id"],
        clinic_id=row["clinic_id"],
        fields=fields,
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
