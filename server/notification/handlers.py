"""Who is told what when something happens in another domain."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from asyncpg import Record
from sqlalchemy import bindparam, select

from server.appointment import view
from server.core.db import Transaction, sql
from server.core.errors import NotFound
from server.core.outbox import Event, Handler
from server.directory.reference import CLINICS
from server.notification import service, wording
from server.notification.wording import Words

_clinics = CLINICS.subquery()
CLINIC = sql(select(_clinics.c.name).where(_clinics.c.clinic_id == bindparam("clinic")))


async def _tell(tx: Transaction, event: Event, user_id: UUID, kind: str, words: Words) -> None:
    await service.tell(tx, event, user_id, kind=kind, title=words.title, body=words.body)


async def _tell_about(
    tx: Transaction, event: Event, visit: Record, reader: str, words: Callable[..., Words]
) -> None:
    kind = event.topic.replace(".", "_")
    await _tell(tx, event, visit[reader], kind, words(event.topic, visit))


async def tell_patient(tx: Transaction, event: Event) -> None:
    """Tell the patient of a visit; of a cancellation also one who called it off, as a receipt."""
    visit = await _visit(tx, event.subject_id)
    await _tell_about(tx, event, visit, "patient_id", wording.for_patient)


async def tell_doctor(tx: Transaction, event: Event) -> None:
    """Tell the doctor of a visit, unless it was them who called it off."""
    visit = await _visit(tx, event.subject_id)
    if visit["cancelled_by"] != "doctor":
        await _tell_about(tx, event, visit, "doctor_id", wording.for_doctor)


async def tell_verified(tx: Transaction, event: Event) -> None:
    """Tell a doctor that they are verified."""
    await _tell(tx, event, event.subject_id, "doctor_verified", wording.verified())


async def tell_rejected(tx: Transaction, event: Event) -> None:
    """Tell a doctor that they are not verified, and why."""
    words = wording.rejected(event.payload["reason"])
    await _tell(tx, event, event.subject_id, "doctor_rejected", words)


async def tell_member(tx: Transaction, event: Event) -> None:
    """Tell a person that they now work at a clinic."""
    clinic = await tx.one(CLINIC, clinic=event.subject_id)
    if clinic is None:
        raise NotFound
    words = wording.joined(clinic["name"], event.payload["role"])
    await _tell(tx, event, UUID(event.payload["user_id"]), "clinic_joined", words)


HANDLERS: Mapping[str, tuple[Handler, ...]] = {
    "appointment.booked": (tell_patient, tell_doctor),
    "appointment.confirmed": (tell_patient,),
    "appointment.cancelled": (tell_patient, tell_doctor),
    "appointment.completed": (tell_patient,),
    "appointment.no_show": (tell_patient,),
    "doctor.verified": (tell_verified,),
    "doctor.rejected": (tell_rejected,),
    "clinic.member_added": (tell_member,),
}


async def _visit(tx: Transaction, appointment_id: UUID) -> Any:
    visit = await tx.one(view.FIND, appointment=appointment_id)
    if visit is None:
        raise NotFound
    return visit
