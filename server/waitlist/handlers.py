"""What frees time, or adds somebody who waits, makes practices due."""

from collections.abc import Mapping
from uuid import UUID

from server.core.db import Transaction
from server.core.outbox import Event, Handler
from server.waitlist import jobs


async def look_at_doctor(tx: Transaction, event: Event) -> None:
    """Look at every practice of a doctor of whose time some came free."""
    await tx.run(jobs.MARK_DOCTOR, doctor=UUID(event.payload["doctor_id"]))


async def look_for_entry(tx: Transaction, event: Event) -> None:
    """Look at every practice that a new entry waits for."""
    await tx.run(jobs.MARK_ENTRY, entry=event.subject_id)


HANDLERS: Mapping[str, tuple[Handler, ...]] = {
    "appointment.cancelled": (look_at_doctor,),
    "appointment.expired": (look_at_doctor,),
    "appointment.moved": (look_at_doctor,),
    "waitlist.joined": (look_for_entry,),
    "waitlist.declined": (look_at_doctor,),
    "waitlist.lapsed": (look_at_doctor,),
}
