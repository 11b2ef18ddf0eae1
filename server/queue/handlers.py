"""What the queue learns from other domains: when a consultation ended."""

from collections.abc import Mapping

from sqlalchemy import bindparam, func, update

from server.core.db import Transaction, sql
from server.core.outbox import Event, Handler
from server.queue.models import QueueTicket

END = sql(
    update(QueueTicket)
    .where(
        QueueTicket.appointment_id == bindparam("appointment"),
        QueueTicket.consultation_start_time.is_not(None),
        QueueTicket.consultation_end_time.is_(None),
    )
    .values(
        consultation_end_time=func.greatest(
            QueueTicket.consultation_start_time,
            bindparam("ended", type_=QueueTicket.check_in_time.type),
        )
    )
)


async def note_end(tx: Transaction, event: Event) -> None:
    """Note how long the consultation of a completed visit took; nothing for one without a call."""
    await tx.run(END, appointment=event.subject_id, ended=event.create_time)


HANDLERS: Mapping[str, tuple[Handler, ...]] = {"appointment.completed": (note_end,)}
