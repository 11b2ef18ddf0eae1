"""Who is told what when something happens in another domain."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Text, any_, bindparam, literal, select
from sqlalchemy.dialects.postgresql import ARRAY

from server.appointment import view
from server.core.db import Transaction, sql
from server.core.errors import NotFound
from server.core.outbox import Event, Handler
from server.directory.reference import CLINICS
from server.notification import service, wording
from server.waitlist import offers

_clinics = CLINICS.subquery()
TO_COME = sql(
    view.ALL.where(
        view.VISIT.c.practice_id == bindparam("practice"),
        view.VISIT.c.local_date == bindparam("day"),
        view.VISIT.c.status == any_(literal(["booked", "checked_in"], ARRAY(Text))),
    ).order_by(view.VISIT.c.start_time.desc())
)
CLINIC = sql(select(_clinics.c.name).where(_clinics.c.clinic_id == bindparam("clinic")))


async def tell_patient(tx: Transaction, event: Event) -> None:
    """Tell the patient what became of a visit."""
    visit = await _visit(tx, event.subject_id)
    words = wording.for_patient(event.topic, visit)
    await service.tell(tx, event, _kind(event), {visit["account_id"]: words})


async def tell_both(tx: Transaction, event: Event) -> None:
    """Tell patient and doctor of a visit.

    A doctor who called it off knows; a patient who did so is told, as a receipt.
    """
    visit = await _visit(tx, event.subject_id)
    told = {visit["account_id"]: wording.for_patient(event.topic, visit)}
    if visit["cancelled_by"] != "doctor":
        told[visit["doctor_id"]] = wording.for_doctor(event.topic, visit)
    await service.tell(tx, event, _kind(event), told)


async def tell_waiting(tx: Transaction, event: Event) -> None:
    """Tell who waits of a time that is kept for them, or that it went to the next one."""
    offer: Any = await tx.one(offers.TOLD, offer=event.subject_id)
    if offer is None:
        raise NotFound
    words = wording.for_waiting(event.topic, offer)
    await service.tell(tx, event, _kind(event), {offer["account_id"]: words})


async def tell_late(tx: Transaction, event: Event) -> None:
    """Tell the patients of the day who wait or are still to come that the doctor is late."""
    day, minutes = date.fromisoformat(event.payload["local_date"]), event.payload["late_minutes"]
    visits: Sequence[Any] = await tx.all(TO_COME, practice=event.subject_id, day=day)
    told = {visit["account_id"]: wording.late(visit, minutes) for visit in visits}
    await service.tell(tx, event, _kind(event), told)


async def tell_verified(tx: Transaction, event: Event) -> None:
    """Tell a doctor that they are verified."""
    await service.tell(tx, event, "doctor_verified", {event.subject_id: wording.verified()})


async def tell_rejected(tx: Transaction, event: Event) -> None:
    """Tell a doctor that they are not verified, and why."""
    words = wording.rejected(event.payload["reason"])
    await service.tell(tx, event, "doctor_rejected", {event.subject_id: words})


async def tell_member(tx: Transaction, event: Event) -> None:
    """Tell a person that they now work at a clinic."""
    clinic = await tx.one(CLINIC, clinic=event.subject_id)
    if clinic is None:
        raise NotFound
    words = wording.joined(clinic["name"], event.payload["role"])
    await service.tell(tx, event, "clinic_joined", {UUID(event.payload["user_id"]): words})


HANDLERS: Mapping[str, tuple[Handler, ...]] = {
    "appointment.booked": (tell_both,),
    "appointment.moved": (tell_both,),
    "appointment.confirmed": (tell_patient,),
    "appointment.cancelled": (tell_both,),
    "appointment.completed": (tell_patient,),
    "appointment.no_show": (tell_patient,),
    "waitlist.offered": (tell_waiting,),
    "waitlist.lapsed": (tell_waiting,),
    "queue.running_late": (tell_late,),
    "doctor.verified": (tell_verified,),
    "doctor.rejected": (tell_rejected,),
    "clinic.member_added": (tell_member,),
}


def _kind(event: Event) -> str:
    return event.topic.replace(".", "_")


async def _visit(tx: Transaction, appointment_id: UUID) -> Any:
    visit = await tx.one(view.FIND, appointment=appointment_id)
    if visit is None:
        raise NotFound
    return visit
