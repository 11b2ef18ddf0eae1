"""Who is told what when something happens."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from server.core.access import Caller
from server.core.db import Database
from server.core.outbox import Relay
from tests.rows import add_clinic, add_doctor, add_person, add_practice, add_visit

WHEN = "Friday 3 July 2026 at 10:30 (Asia/Kolkata)"


async def happen(db: Database, topic: str, subject: UUID, **payload: Any) -> None:
    async with db.transaction(Caller(uuid4(), "admin")) as tx:
        tx.record(topic, subject, event=payload)


async def told(owner: Any, user_id: UUID) -> list[tuple[str, str, str]]:
    rows = await owner.fetch(
        "SELECT kind, title, body FROM notification WHERE user_id = $1 ORDER BY kind", user_id
    )
    return [tuple(row.values()) for row in rows]


async def test_a_booking_is_told_to_the_patient_and_to_the_doctor(
    committed: Database, worker: Database, owner: Any, relay: Relay
) -> None:
    patient, practice = await add_person(owner), await add_practice(owner)
    visit = await add_visit(owner, practice, patient)
    await happen(committed, "appointment.booked", visit, patient_id=patient)
    await relay.deliver(worker)
    assert await told(owner, patient) == [
        (
            "appointment_booked",
            "Appointment booked",
            f"Dr. Meera Iyer sees you on {WHEN} at Lake Clinic, 1 Lake Road, Kolkata.",
        )
    ]
    assert await told(owner, practice.doctor_id) == [
        ("appointment_booked", "New appointment", f"Asha Rao comes on {WHEN} to Lake Clinic.")
    ]


@pytest.mark.parametrize("state", ["confirmed", "completed", "no_show"])
async def test_what_becomes_of_a_visit_is_told_to_the_patient_alone(
    committed: Database, worker: Database, owner: Any, relay: Relay, state: str
) -> None:
    patient, practice = await add_person(owner), await add_practice(owner)
    visit = await add_visit(owner, practice, patient)
    await happen(committed, f"appointment.{state}", visit)
    await relay.deliver(worker)
    (what,) = await told(owner, patient)
    assert what[0] == f"appointment_{state}"
    assert WHEN in what[2]
    assert await told(owner, practice.doctor_id) == []


@pytest.mark.parametrize(
    ("by", "doctor_is_told"),
    [("patient", True), ("clinic", True), ("platform", True), ("doctor", False)],
)
async def test_a_cancellation_is_told_to_all_but_the_doctor_who_made_it(
    committed: Database,
    worker: Database,
    owner: Any,
    relay: Relay,
    by: str,
    doctor_is_told: bool,
) -> None:
    patient, practice = await add_person(owner), await add_practice(owner)
    visit = await add_visit(
        owner, practice, patient, status="cancelled", cancelled_by=by, cancel_reason="Flooded road."
    )
    await happen(committed, "appointment.cancelled", visit, cancelled_by=by)
    await relay.deliver(worker)
    (what,) = await told(owner, patient)
    assert what[2].endswith(f"was called off by the {by}. Reason given: Flooded road.")
    assert bool(await told(owner, practice.doctor_id)) is doctor_is_told


async def test_a_verified_doctor_is_told(
    committed: Database, worker: Database, owner: Any, relay: Relay
) -> None:
    doctor = await add_doctor(owner)
    await happen(committed, "doctor.verified", doctor, doctor_id=doctor, reason="")
    await relay.deliver(worker)
    assert [what[0] for what in await told(owner, doctor)] == ["doctor_verified"]


async def test_a_rejected_doctor_is_told_why(
    committed: Database, worker: Database, owner: Any, relay: Relay
) -> None:
    doctor = await add_doctor(owner, status="rejected")
    await happen(committed, "doctor.rejected", doctor, doctor_id=doctor, reason="No such licence.")
    await relay.deliver(worker)
    (what,) = await told(owner, doctor)
    assert "No such licence." in what[2]


async def test_a_person_is_told_that_they_work_at_a_clinic(
    committed: Database, worker: Database, owner: Any, relay: Relay
) -> None:
    clinic, person = await add_clinic(owner), await add_person(owner, "staff")
    await happen(
        committed,
        "clinic.member_added",
        clinic,
        clinic_id=clinic,
        user_id=person,
        role="front_desk",
    )
    await relay.deliver(worker)
    assert await told(owner, person) == [
        ("clinic_joined", "You work at Lake Clinic", "Your role there: front desk.")
    ]


async def test_an_event_that_is_delivered_again_tells_once(
    committed: Database, worker: Database, owner: Any, relay: Relay
) -> None:
    doctor = await add_doctor(owner)
    await happen(committed, "doctor.verified", doctor, doctor_id=doctor, reason="")
    event = await owner.fetchrow("SELECT * FROM outbox")
    await relay.deliver(worker)
    await owner.execute(
        "INSERT INTO outbox (outbox_id, topic, subject_id, payload) VALUES ($1, $2, $3, '{}')",
        event["outbox_id"],
        event["topic"],
        event["subject_id"],
    )
    await relay.deliver(worker)
    assert len(await told(owner, doctor)) == 1
    assert await owner.fetch("SELECT 1 FROM outbox") == []


async def test_a_notification_happened_when_its_event_did(
    committed: Database, worker: Database, owner: Any, relay: Relay
) -> None:
    doctor = await add_doctor(owner)
    await happen(committed, "doctor.verified", doctor, doctor_id=doctor, reason="")
    happened = await owner.fetchval(
        "UPDATE outbox SET create_time = create_time - interval '1 hour' RETURNING create_time"
    )
    await relay.deliver(worker)
    made = await owner.fetchval("SELECT create_time FROM notification WHERE user_id = $1", doctor)
    assert made == happened
