"""A day at the clinic and who waits for it, by REST alone."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from tests.e2e.conftest import Practice, Visitor


def minutes_ahead(minutes: int) -> str:
    start = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(minutes=minutes)
    return f"{start:%Y-%m-%dT%H:%M:%SZ}"


async def offer_every_minute(practice: Practice) -> None:
    rules = {
        "name": "Quick look",
        "lengthMinutes": 1,
        "horizonDays": 30,
        "price": {"currencyCode": practice.currency, "units": "30"},
        "isDefault": True,
    }
    await practice.doctor.make(f"/api/practices/{practice.practice_id}/visit-types", rules=rules)


async def events(answer: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    """Read server-sent events as a browser does."""
    assert answer.headers["content-type"] == "text/event-stream"
    async for line in answer.aiter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


async def test_patients_come_are_called_and_leave_on_a_live_screen(
    http: httpx.AsyncClient, practice: Practice
) -> None:
    await offer_every_minute(practice)
    patients = [Visitor(http), Visitor(http)]
    visits = []
    for minutes, patient in enumerate(patients, start=3):
        await patient.register("ROLE_PATIENT", f"Patient {minutes}")
        visits.append(await practice.take(patient, minutes_ahead(minutes)))
    desk, queue = practice.doctor, f"/api/queues/{practice.practice_id}"
    first, second = (f"/api/appointments/{visit['appointmentId']}" for visit in visits)
    screen = {"authorization": desk.authorization}
    async with http.stream("GET", f"{queue}/live", headers=screen) as answer:
        seen = events(answer)
        shown = (await anext(seen))["queue"]
        assert [each["state"] for each in shown["entries"]] == ["QUEUE_STATE_EXPECTED"] * 2

        assert await patients[0].refused(f"{first}/check-in") == "403 PERMISSION_DENIED"
        assert await desk.refused(f"{queue}/call-next") == "409 QUEUE_EMPTY"
        tokens = [(await desk.make(f"{path}/check-in", 200))["entry"] for path in (first, second)]
        assert [entry["token"] for entry in tokens] == [1, 2]
        place = (await patients[1].get(f"{second}/queue-place"))["queuePlace"]
        assert (place["token"], place["aheadCount"]) == (2, 1)
        called = (await desk.make(f"{queue}/call-next", 200))["entry"]
        assert called["token"] == 1
        await desk.make(f"{queue}/running-late", 200, lateMinutes=20)
        await desk.make(f"{first}/complete", 200)
        assert await desk.refused(f"{first}/check-in") == "409 ILLEGAL_STATUS_CHANGE"
        states: dict[str, str] = {}
        while states.get(called["appointmentId"]) != "QUEUE_STATE_DONE":
            change = (await anext(seen))["change"]
            states |= {each["appointmentId"]: each["state"] for each in change["entries"]}

    follow_up = {"followsAppointmentId": called["appointmentId"]}
    again = await practice.take(patients[0], minutes_ahead(24 * 60), **follow_up)
    assert again["price"]["units"] == "0"


async def test_a_freed_time_is_offered_to_who_waits(
    http: httpx.AsyncClient, practice: Practice
) -> None:
    booked, waiting = Visitor(http), Visitor(http)
    await booked.register("ROLE_PATIENT", "Asha Rao")
    await waiting.register("ROLE_PATIENT", "Ravi Kumar")
    day = datetime.now(UTC).date() + timedelta(days=10)
    local = {"year": day.year, "month": day.month, "day": day.day}
    window = {"start": {"hours": 9}, "end": {"hours": 9, "minutes": 30}}
    only = [{"date": local, "windows": [window]}]
    await practice.doctor.put("/api/doctor/availability", rules=[], overrides=only)
    [start] = await practice.slots(booked, fromDate=str(day), days=1)
    visit = await practice.take(booked, start)
    wish = {"practiceId": practice.practice_id, "untilDate": local}
    await waiting.make("/api/waitlist", **wish)
    assert await waiting.refused("/api/waitlist", **wish) == "409 ALREADY_WAITING"
    seen = await practice.doctor.get("/api/doctor/waitlist")
    assert [each["patient"]["fullName"] for each in seen["entries"]] == ["Ravi Kumar"]

    await booked.make(f"/api/appointments/{visit['appointmentId']}/cancel", 200)
    offer = await until_offered(waiting)
    time = {"practiceId": practice.practice_id, "startTime": start}
    assert offer["startTime"] == start
    assert await booked.refused("/api/appointments", **time) == "409 SLOT_TAKEN"
    path = f"/api/waitlist/offers/{offer['offerId']}/accept"
    assert (await waiting.make(path))["appointment"]["startTime"] == start
    assert await waiting.refused(path) == "409 OFFER_ENDED"


async def until_offered(patient: Visitor) -> Any:
    """Wait until a time is offered to somebody, and answer the offer."""
    async with asyncio.timeout(20):
        while True:
            [entry] = (await patient.get("/api/waitlist"))["entries"]
            if "offer" in entry:
                return entry["offer"]
            await asyncio.sleep(0.2)
