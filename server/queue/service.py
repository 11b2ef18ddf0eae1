"""What happens at the desk: checking in, calling, saying that the doctor is late."""

from dataclasses import replace
from uuid import UUID

from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects.postgresql import insert

from server.appointment import progress
from server.core.db import Transaction, sql
from server.core.errors import FailedPrecondition
from server.queue import day
from server.queue.day import Entry, Queue
from server.queue.models import QueueDay, QueueSetting, QueueTicket
from server.queue.waits import MINUTE, Late


class QueueEmpty(FailedPrecondition):
    """Nobody waits."""

    reason = "QUEUE_EMPTY"
    text = "Nobody waits."


_next_token = insert(QueueDay).values(
    clinic_id=bindparam("clinic"),
    practice_id=bindparam("practice"),
    doctor_id=bindparam("doctor"),
    local_date=bindparam("today"),
    last_token=1,
)
_counted = (
    _next_token.on_conflict_do_update(
        index_elements=["practice_id", "local_date"],
        set_={"last_token": QueueDay.last_token + 1},
    )
    .returning(QueueDay.queue_day_id, QueueDay.last_token)
    .cte("counted")
)
TAKE_TOKEN = sql(
    insert(QueueTicket)
    .from_select(
        [
            "appointment_id",
            "clinic_id",
            "patient_id",
            "doctor_id",
            "queue_day_id",
            "token",
            "booked_minutes",
            "check_in_time",
        ],
        select(
            bindparam("appointment", type_=QueueTicket.appointment_id.type),
            bindparam("clinic", type_=QueueTicket.clinic_id.type),
            bindparam("patient", type_=QueueTicket.patient_id.type),
            bindparam("doctor", type_=QueueTicket.doctor_id.type),
            _counted.c.queue_day_id,
            _counted.c.last_token,
            bindparam("booked", type_=QueueTicket.booked_minutes.type),
            bindparam("arrived", type_=QueueTicket.check_in_time.type),
        ),
    )
    .returning(QueueTicket.token)
)
_said = insert(QueueDay).values(
    clinic_id=bindparam("clinic"),
    practice_id=bindparam("practice"),
    doctor_id=bindparam("doctor"),
    local_date=bindparam("today"),
    late_minutes=bindparam("minutes"),
    late_time=bindparam("said"),
)
SAY_LATE = sql(
    _said.on_conflict_do_update(
        index_elements=["practice_id", "local_date"],
        set_={"late_minutes": _said.excluded.late_minutes, "late_time": _said.excluded.late_time},
    )
)
_chosen = insert(QueueSetting).values(
    clinic_id=bindparam("clinic"),
    practice_id=bindparam("practice"),
    doctor_id=bindparam("doctor"),
    no_show_grace_minutes=bindparam("grace"),
)
CHOOSE = sql(
    _chosen.on_conflict_do_update(
        index_elements=["practice_id"],
        set_={"no_show_grace_minutes": _chosen.excluded.no_show_grace_minutes},
    )
)
BEGIN = sql(
    update(QueueTicket)
    .where(QueueTicket.appointment_id == bindparam("appointment"))
    .values(consultation_start_time=bindparam("begun"))
)


async def check_in(tx: Transaction, appointment_id: UUID) -> Entry:
    """Give a patient who came the next token of the day, under the lock of the appointment."""
    visit = await progress.check_in(tx, appointment_id)
    length = (visit["end_time"] - visit["start_time"]) / MINUTE
    await tx.all(
        TAKE_TOKEN,
        appointment=appointment_id,
        clinic=visit["clinic_id"],
        practice=visit["practice_id"],
        patient=visit["patient_id"],
        doctor=visit["doctor_id"],
        today=visit["local_date"],
        booked=0 if visit["session_id"] else round(length),
        arrived=tx.now,
    )
    return await day.find(tx, appointment_id)


async def call_next(tx: Transaction, practice_id: UUID) -> Entry:
    """Call the waiting patient with the lowest token, under the lock of the doctor's calendar.

    Raises QueueEmpty when nobody waits.
    """
    queue = await day.read(tx, practice_id)
    waiting = [entry for entry in queue.entries if entry.state == "waiting"]
    if not waiting:
        raise QueueEmpty
    return await start(tx, waiting[0].appointment_id)


async def start(tx: Transaction, appointment_id: UUID) -> Entry:
    """Call a waiting patient, under the lock of the appointment."""
    await progress.start(tx, appointment_id)
    await tx.run(BEGIN, appointment=appointment_id, begun=tx.now)
    return await day.find(tx, appointment_id)


async def say_late(tx: Transaction, practice_id: UUID, *, minutes: int) -> Queue:
    """Note that the doctor is behind today, under the calendar's lock, and answer the queue then.

    Who waits or is still to come is told, unless the minutes are those that were said before.
    """
    queue = await day.read(tx, practice_id)
    practice = queue.practice
    await tx.run(
        SAY_LATE,
        clinic=practice.clinic_id,
        practice=practice_id,
        doctor=practice.doctor_id,
        today=queue.local_date,
        minutes=minutes,
        said=tx.now,
    )
    before = queue.late.minutes if queue.late else 0
    news = {"late_minutes": minutes, "local_date": queue.local_date}
    tx.record(
        "queue.running_late",
        practice_id,
        clinic_id=practice.clinic_id,
        fields={"late_minutes": (before, minutes)},
        event=news if minutes != before else None,
    )
    return replace(queue, late=Late(minutes, tx.now))


async def set_grace(tx: Transaction, practice_id: UUID, *, minutes: int) -> None:
    """Choose after how many minutes a patient who did not come is marked; 0 is never."""
    practice = await day.find_practice(tx, practice_id)
    await tx.run(
        CHOOSE,
        clinic=practice.clinic_id,
        practice=practice_id,
        doctor=practice.doctor_id,
        grace=minutes,
    )
    tx.record(
        "queue.settings_changed",
        practice_id,
        clinic_id=practice.clinic_id,
        fields=("no_show_grace_minutes",),
    )
