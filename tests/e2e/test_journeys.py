"""What people do with the platform, by REST alone."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx

from tests.e2e.conftest import Visitor


async def first_slot(visitor: Visitor, doctor_id: str) -> tuple[str, str]:
    """Answer the practice and start of a doctor's first free time."""
    days = (await visitor.get(f"/api/doctors/{doctor_id}/slots", days=14))["days"]
    return days[0]["practiceId"], days[0]["slots"][0]["startTime"]


async def test_a_patient_searches_books_and_finds_the_visit(visitor: Visitor) -> None:
    found = await visitor.get("/api/doctors", symptoms="chest pain", pageSize=5)
    doctor = found["doctors"][0]
    practice_id, start = await first_slot(visitor, doctor["doctorId"])
    await visitor.register("ROLE_PATIENT", "Asha Rao")
    booking = {"requestId": str(uuid4()), "practiceId": practice_id, "startTime": start}
    made = await visitor.send("POST", "/api/appointments", 201, **booking)
    again = await visitor.send("POST", "/api/appointments", 201, **booking)
    assert made == again
    listed = await visitor.get("/api/appointments")
    assert [visit["appointmentId"] for visit in listed["appointments"]] == [
        made["appointment"]["appointmentId"]
    ]
    assert made["appointment"]["doctorName"] == doctor["fullName"]


async def test_a_new_doctor_is_verified_found_and_booked(http: httpx.AsyncClient) -> None:
    doctor, admin, patient = Visitor(http), Visitor(http), Visitor(http)
    name = f"Dr. Tara {uuid4().hex[:8]}"
    await doctor.register("ROLE_DOCTOR", name)
    profile = await doctor.send(
        "POST",
        "/api/doctor/profile",
        requestId=str(uuid4()),
        fullName=name,
        specialties=["cardiology"],
        qualifications="MBBS, MD",
        practisingSince=2012,
        languages=["en", "hi"],
        bio="",
        licenceNumber=f"KMC-{uuid4().hex[:8]}",
        licenceCouncil="Karnataka Medical Council",
        licenceYear=2012,
        newClinic={"name": "Tara Heart Clinic", "address": "4 MG Road", "city": "bengaluru"},
        fee={"currencyCode": "INR", "units": "700"},
    )
    await doctor.add_second_factor()
    doctor_id = profile["profile"]["doctor"]["doctorId"]
    assert profile["profile"]["verificationStatus"] == "VERIFICATION_STATUS_PENDING"
    assert not (await patient.get("/api/doctors", text=name))["doctors"]

    await admin.sign_in_demo("admin")
    waiting = await pending(admin)
    assert doctor_id in waiting
    await admin.send(
        "PUT",
        f"/api/admin/doctors/{doctor_id}/verify",
        requestId=str(uuid4()),
        decision="VERIFICATION_DECISION_APPROVE",
    )
    assert doctor_id not in await pending(admin)

    every_day = [
        {
            "dayOfWeek": day,
            "window": {"start": {"hours": 9}, "end": {"hours": 17}},
        }
        for day in ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
    ]
    await doctor.send("PUT", "/api/doctor/availability", requestId=str(uuid4()), rules=every_day)

    await patient.register("ROLE_PATIENT", "Ravi Kumar")
    (found,) = (await patient.get("/api/doctors", text=name, city="bengaluru"))["doctors"]
    assert found["doctorId"] == doctor_id
    practice_id, start = await first_slot(patient, doctor_id)
    made = await patient.send(
        "POST",
        "/api/appointments",
        201,
        requestId=str(uuid4()),
        practiceId=practice_id,
        startTime=start,
    )
    schedule = await doctor.get("/api/doctor/appointments", days=7)
    assert [visit["appointmentId"] for visit in schedule["appointments"]] == [
        made["appointment"]["appointmentId"]
    ]
    assert schedule["appointments"][0]["patient"]["fullName"] == "Ravi Kumar"
    told = await until_told(doctor, 2)
    assert told == {"NOTIFICATION_KIND_DOCTOR_VERIFIED", "NOTIFICATION_KIND_APPOINTMENT_BOOKED"}


async def pending(admin: Visitor) -> set[str]:
    """Answer the ids of all doctors who wait."""
    path, waiting, token = "/api/admin/doctors/pending-verification", set(), ""
    while True:
        page = await admin.get(path, pageSize=200, pageToken=token)
        waiting |= {each["doctorId"] for each in page["verifications"]}
        token = page["nextPageToken"]
        if not token:
            return waiting


async def until_told(person: Visitor, count: int) -> set[str]:
    """Wait until somebody has `count` notifications, and answer their kinds."""
    deadline = datetime.now(UTC) + timedelta(seconds=10)
    while True:
        found = (await person.get("/api/notifications"))["notifications"]
        if len(found) >= count or datetime.now(UTC) > deadline:
            return {each["kind"] for each in found}
        await asyncio.sleep(0.2)


async def test_of_two_hundred_clients_for_one_time_one_gets_it(http: httpx.AsyncClient) -> None:
    visitor = Visitor(http)
    doctor = (await visitor.get("/api/doctors", pageSize=1, order="DOCTOR_ORDER_FEE"))["doctors"][0]
    practice_id, start = await first_slot(visitor, doctor["doctorId"])
    patients = [Visitor(http) for _ in range(20)]
    for patient in patients:
        await patient.register("ROLE_PATIENT", "Asha Rao")

    async def book(patient: Visitor) -> tuple[int, str]:
        booking = {"requestId": str(uuid4()), "practiceId": practice_id, "startTime": start}
        answer = await patient.request("POST", "/api/appointments", json=booking)
        return answer.status_code, answer.json().get("reason", "")

    outcomes = Counter(await asyncio.gather(*(book(patient) for patient in patients * 10)))
    assert outcomes == {(201, ""): 1, (409, "SLOT_TAKEN"): 199}
