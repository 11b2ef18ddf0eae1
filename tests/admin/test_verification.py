"""Administrators see who waits to be verified, and decide."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from carelane.admin.v1 import admin_service_pb2 as pb
from carelane.directory.v1 import doctor_profile_pb2
from tests.refusal import refused
from tests.rows import NOW, Served, add, add_doctor, add_person

APPROVE, REJECT = pb.VERIFICATION_DECISION_APPROVE, pb.VERIFICATION_DECISION_REJECT


@pytest.fixture
async def boss(owner: Any) -> UUID:
    """An administrator, with nobody waiting."""
    await owner.execute("DELETE FROM verification")
    return await add_person(owner, "admin")


async def add_waiting(owner: Any, minutes: int = 0) -> UUID:
    """Add a doctor who asked to be verified that long ago."""
    doctor = await add_doctor(owner, status="pending")
    await add(
        owner,
        "verification",
        doctor_id=doctor,
        licence_number=str(doctor),
        licence_council="West Bengal Medical Council",
        licence_year=2011,
        create_time=NOW - timedelta(minutes=minutes),
    )
    return doctor


async def listed(admin: Served, by: UUID, **fields: Any) -> pb.ListPendingVerificationsResponse:
    request = pb.ListPendingVerificationsRequest(**fields)
    return await admin.call("ListPendingVerifications", request, by=("admin", by))  # type: ignore[no-any-return]


async def decide(
    admin: Served, by: UUID, doctor: UUID, decision: Any, reason: str = "", **fields: Any
) -> pb.VerifyDoctorResponse:
    values = {"request_id": str(uuid4()), "doctor_id": str(doctor), **fields}
    request = pb.VerifyDoctorRequest(decision=decision, reason=reason, **values)
    return await admin.call("VerifyDoctor", request, by=("admin", by))  # type: ignore[no-any-return]


async def status(owner: Any, doctor: UUID) -> str:
    query = "SELECT verification_status FROM doctor_profile WHERE doctor_id = $1"
    return str(await owner.fetchval(query, doctor))


async def test_who_waits_longest_comes_first(admin: Served, owner: Any, boss: UUID) -> None:
    doctors = [await add_waiting(owner, minutes) for minutes in (1, 3, 2)]
    answer = await listed(admin, boss)
    found = [each.doctor_id for each in answer.verifications]
    assert found == [str(doctors[1]), str(doctors[2]), str(doctors[0])]


async def test_the_evidence_is_shown(admin: Served, owner: Any, boss: UUID) -> None:
    doctor = await add_waiting(owner)
    specialty = uuid4()
    names = {"name": "Cardiology", "practitioner": "Cardiologist", "description": "Hearts."}
    await add(owner, "specialty", specialty_id=specialty, slug=f"cardio-{specialty}", **names)
    ids = {"doctor_id": doctor, "specialty_id": specialty}
    await add(owner, "doctor_specialty", position=0, **ids)
    (found,) = (await listed(admin, boss)).verifications
    assert (found.full_name, found.qualifications) == ("Dr. Meera Iyer", "MBBS")
    assert list(found.specialties) == [f"cardio-{specialty}"]
    assert (found.licence.number, found.licence.year) == (str(doctor), 2011)
    assert found.status == doctor_profile_pb2.VERIFICATION_STATUS_PENDING
    assert found.create_time.seconds == int(NOW.timestamp())
    assert not found.HasField("decide_time")


async def test_pages_follow_each_other_without_gap_or_repeat(
    admin: Served, owner: Any, boss: UUID
) -> None:
    doctors = [await add_waiting(owner, minutes // 2) for minutes in range(5)]
    found, token = [], ""
    while True:
        answer = await listed(admin, boss, page_size=2, page_token=token)
        found += [each.doctor_id for each in answer.verifications]
        token = answer.next_page_token
        if not token:
            break
    assert len(found) == 5
    assert set(found) == {str(doctor) for doctor in doctors}


async def test_an_approved_doctor_is_verified_and_waits_no_more(
    admin: Served, owner: Any, boss: UUID
) -> None:
    doctor = await add_waiting(owner)
    answer = await decide(admin, boss, doctor, APPROVE)
    assert answer.verification.status == doctor_profile_pb2.VERIFICATION_STATUS_VERIFIED
    assert answer.verification.HasField("decide_time")
    assert await status(owner, doctor) == "verified"
    assert not (await listed(admin, boss)).verifications


async def test_a_rejected_doctor_is_told_why_in_the_answer(
    admin: Served, owner: Any, boss: UUID
) -> None:
    doctor = await add_waiting(owner)
    answer = await decide(admin, boss, doctor, REJECT, "No such licence.")
    assert answer.verification.reason == "No such licence."
    assert await status(owner, doctor) == "rejected"


async def test_a_decision_is_audited_and_the_doctor_will_hear_of_it(
    admin: Served, owner: Any, boss: UUID
) -> None:
    doctor = await add_waiting(owner)
    await decide(admin, boss, doctor, APPROVE)
    audit = await owner.fetch("SELECT * FROM audit WHERE subject_id = $1", doctor)
    outbox = await owner.fetch("SELECT * FROM outbox WHERE subject_id = $1", doctor)
    assert [(row["action"], row["actor_id"]) for row in audit] == [("doctor.verified", boss)]
    assert [row["topic"] for row in outbox] == ["doctor.verified"]


async def test_a_repeated_decision_gets_the_same_answer(
    admin: Served, owner: Any, boss: UUID
) -> None:
    doctor, request_id = await add_waiting(owner), str(uuid4())
    first = await decide(admin, boss, doctor, APPROVE, request_id=request_id)
    assert await decide(admin, boss, doctor, APPROVE, request_id=request_id) == first
    refusal = await refused(decide(admin, boss, doctor, REJECT, "No.", request_id=request_id))
    assert refusal.reason == "REQUEST_ID_REUSED"


async def test_what_is_decided_cannot_be_decided_again(
    admin: Served, owner: Any, boss: UUID
) -> None:
    doctor = await add_waiting(owner)
    await decide(admin, boss, doctor, APPROVE)
    assert (await refused(decide(admin, boss, doctor, REJECT, "No."))).reason == "NOT_PENDING"
    assert await status(owner, doctor) == "verified"


async def test_a_request_that_was_replaced_meanwhile_is_not_decided_on(
    admin: Served, owner: Any, boss: UUID
) -> None:
    doctor = await add_waiting(owner)
    (waiting,) = (await listed(admin, boss)).verifications
    stale = decide(admin, boss, doctor, APPROVE, verification_id=str(uuid4()))
    assert (await refused(stale)).reason == "NOT_PENDING"
    seen = waiting.verification_id
    answer = await decide(admin, boss, doctor, APPROVE, verification_id=seen)
    assert answer.verification.verification_id == seen


async def test_a_doctor_who_does_not_exist_is_not_found(admin: Served, boss: UUID) -> None:
    assert (await refused(decide(admin, boss, uuid4(), APPROVE))).reason == "NOT_FOUND"


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"doctor_id": "x"}, "doctor_id"),
        ({"request_id": ""}, "request_id"),
        ({"decision": 0}, "decision"),
        ({"decision": 7}, "decision"),
        ({"decision": REJECT, "reason": "  "}, "reason"),
        ({"decision": REJECT}, "reason"),
        ({"reason": "x" * 1001}, "reason"),
    ],
)
async def test_an_invalid_field_is_named(
    admin: Served, boss: UUID, fields: dict[str, Any], path: str
) -> None:
    usual = {"doctor": uuid4(), "decision": APPROVE}
    refusal = await refused(decide(admin, boss, **(usual | fields)))
    assert (refusal.reason, list(refusal.fields)) == ("INVALID_FIELD", [path])


@pytest.mark.parametrize("name", ["ListPendingVerifications", "VerifyDoctor", "GetAnalytics"])
@pytest.mark.parametrize("role", ["patient", "doctor", "staff"])
async def test_nobody_but_administrators_may_call(admin: Served, name: str, role: str) -> None:
    request = getattr(pb, f"{name}Request")()
    refusal = await refused(admin.call(name, request, by=(role, uuid4())))
    assert refusal.reason == "PERMISSION_DENIED"


@pytest.mark.parametrize("name", ["ListPendingVerifications", "VerifyDoctor", "GetAnalytics"])
async def test_who_is_not_signed_in_is_refused(admin: Served, name: str) -> None:
    refusal = await refused(admin.call(name, getattr(pb, f"{name}Request")()))
    assert refusal.reason == "UNAUTHENTICATED"


async def test_a_page_token_of_another_administrator_is_refused(
    admin: Served, owner: Any, boss: UUID
) -> None:
    for minutes in range(2):
        await add_waiting(owner, minutes)
    token = (await listed(admin, boss, page_size=1)).next_page_token
    refusal = await refused(listed(admin, uuid4(), page_size=1, page_token=token))
    assert refusal.reason == "INVALID_PAGE_TOKEN"
