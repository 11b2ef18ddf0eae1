"""What happens at the desk: checking in, calling, saying that the doctor is late."""

from uuid import UUID

from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects.postgresql import insert

from server.appointment import progress
from server.core.db import Transaction, sql
from server.core.errors import FailedPrecondition
from server.queue import day
from server.queue.day import Entry
from server.queue.models import QueueDay, QueueTicket
from server.queue.waits import MINUTE


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
            "doctor_id",
            "queue_day_id",
            "token",
            "booked_minutes",
            "check_in_time",
        ],
        select(
            bindparam("appointment", type_=QueueTicket.appointment_id.type),
            bindparam("clinic", type_=QueueTicket.clinic_id.type),
            bindparam("doctor", type_=QueueTicket.doctor_id.type),
            _counted.c.queue_day_id,
            _counted.c.last_token,
            bindparam("booked", type_=QueueTicket.booked_minutes.type),
            bindparam("arrived", type_=QueueTicket.check_in_time.type),
        ),
    )
    .returning(QueueTicket.token)
)
BEGIN = sql(
    update(QueueTicket)
    .where(QueueTicket.appointment_id == bindparam("appointment"))
    .values(consultation_start_time=bindparam("begun"))
)


async def check_in(tx: Transaction, appointment_id: UUID) -> Entry:
    """Give a patient who came the next token of the day, under the lock of the appointment."""
    visit = await progress.check_in(tx, appointment_id)
    await tx.all(
        TAKE_TOKEN,
        appointment=appointment_id,
        clinic=visit["clinic_id"],
        practice=visit["practice_id"],
        doctor=visit["doctor_id"],
        today=visit["local_date"],
        booked=round((visit["end_time"] - visit["start_time"]) / MINUTE),
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
