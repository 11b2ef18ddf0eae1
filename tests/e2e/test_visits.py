"""A visit from the first look to the last change, by REST alone."""

import httpx

from tests.e2e.conftest import DAYS, Practice, Visitor, open_on


async def test_a_time_is_held_booked_moved_and_called_off(
    http: httpx.AsyncClient, practice: Practice
) -> None:
    asha, ravi = Visitor(http), Visitor(http)
    await asha.register("ROLE_PATIENT", "Asha Rao")
    await ravi.register("ROLE_PATIENT", "Ravi Kumar")
    start, later = (await practice.slots(asha, days=3))[-2:]
    time = {"practiceId": practice.practice_id, "startTime": start}
    hold = (await asha.make("/api/holds", **time))["hold"]
    assert start in await practice.slots(asha, days=3)
    assert start not in await practice.slots(ravi, days=3)
    assert await ravi.refused("/api/appointments", **time) == "409 SLOT_TAKEN"
    asked = f"/api/practices/{practice.practice_id}/explanation"
    told = await ravi.get(asked, startTime=start)
    assert told["explanation"]["rule"] == "BOOKING_RULE_BUSY"

    visit = await practice.take(asha, start, holdId=hold["holdId"], reason="Chest pain")
    path = f"/api/appointments/{visit['appointmentId']}"
    moved = (await asha.make(f"{path}/reschedule", 200, startTime=later, etag=visit["etag"]))[
        "appointment"
    ]
    assert (moved["previousStartTime"], moved["startTime"]) == (start, later)
    assert await asha.refused(f"{path}/reschedule", startTime=start, etag=visit["etag"]) == (
        "409 ETAG_MISMATCH"
    )

    policy = f"/api/practices/{practice.practice_id}/cancel-policy"
    await practice.doctor.put(policy, noticeMinutes=43200)
    assert await asha.refused(f"{path}/cancel") == "409 TOO_LATE"
    await practice.doctor.put(policy, noticeMinutes=0)
    ended = await asha.make(f"{path}/cancel", 200, reason="Feeling better")
    assert ended["appointment"]["cancelledBy"] == "APPOINTMENT_PARTY_PATIENT"
    assert {start, later} <= {*await practice.slots(ravi, days=3)}


async def test_a_mother_books_for_her_children_all_or_none(
    http: httpx.AsyncClient, practice: Practice
) -> None:
    mother, other = Visitor(http), Visitor(http)
    await mother.register("ROLE_PATIENT", "Asha Rao")
    await other.register("ROLE_PATIENT", "Ravi Kumar")
    children = [
        (await mother.make("/api/me/dependants", fullName=name, relation="RELATION_CHILD"))[
            "dependant"
        ]["patientId"]
        for name in ("Kiran Rao", "Mina Rao")
    ]
    first, second, third = (await practice.slots(mother, days=3))[-3:]
    await practice.take(other, second)

    def visits(*starts: str) -> list[dict[str, str]]:
        return [
            {"practiceId": practice.practice_id, "startTime": start, "patientId": child}
            for start, child in zip(starts, children, strict=True)
        ]

    family = "/api/appointments/family"
    assert await mother.refused(family, visits=visits(first, second)) == "409 SLOT_TAKEN"
    assert (await mother.get("/api/appointments"))["appointments"] == []
    booked = (await mother.make(family, visits=visits(first, third)))["appointments"]
    assert [visit["patient"]["fullName"] for visit in booked] == ["Kiran Rao", "Mina Rao"]
    listed = await mother.get("/api/appointments", patientId=children[1])
    assert [visit["startTime"] for visit in listed["appointments"]] == [third]

    series = await mother.make(
        "/api/appointments/series",
        practiceId=practice.practice_id,
        startTime=(await practice.slots(mother, days=4))[-1],
        patientId=children[0],
        everyWeeks=1,
        visitCount=3,
    )
    assert len({visit["seriesId"] for visit in series["appointments"]}) == 1


async def test_a_doctor_sees_who_is_stranded_before_the_hours_change(
    http: httpx.AsyncClient, practice: Practice
) -> None:
    patient = Visitor(http)
    await patient.register("ROLE_PATIENT", "Asha Rao")
    visit = await practice.take(patient, (await practice.slots(patient, days=3))[-1])
    mornings = [open_on(day, 6, 7) for day in DAYS]
    preview = f"/api/practices/{practice.practice_id}/schedule-preview"
    seen = await practice.doctor.send("POST", preview, hours={"rules": mornings})
    assert [each["appointmentId"] for each in seen["strandedVisits"]] == [visit["appointmentId"]]
    hours = "/api/doctor/availability"
    answer = await practice.doctor.request(
        "PUT", hours, json={"requestId": visit["appointmentId"], "rules": mornings}
    )
    assert answer.json()["reason"] == "STRANDS_APPOINTMENTS"
    assert answer.json()["metadata"] == {"count": "1"}
    await practice.doctor.put(hours, rules=mornings, allowStranded=True)
    assert await practice.doctor.refused(
        "/api/doctor/time-off", startTime=visit["startTime"], endTime=visit["endTime"]
    ) == ("409 STRANDS_APPOINTMENTS")


async def test_a_calendar_follows_the_visit_until_its_feed_is_revoked(
    http: httpx.AsyncClient, practice: Practice
) -> None:
    patient = Visitor(http)
    await patient.register("ROLE_PATIENT", "Asha Rao")
    visit = await practice.take(patient, (await practice.slots(patient, days=3))[-1])
    path = f"/api/appointments/{visit['appointmentId']}"
    feed = f"/api/calendar/{(await patient.make('/api/me/calendar'))['token']}.ics"
    assert "METHOD:REQUEST" in (await patient.request("GET", f"{path}/calendar.ics")).text
    await patient.make(f"{path}/cancel", 200)
    assert "METHOD:CANCEL" in (await patient.request("GET", f"{path}/calendar.ics")).text
    read = await http.get(feed)
    assert read.headers["content-type"] == "text/calendar; charset=utf-8"
    assert "STATUS:CANCELLED" in read.text
    await patient.ask("DELETE", "/api/me/calendar", params={"requestId": visit["appointmentId"]})
    assert (await http.get(feed)).status_code == 404
