"""Calendars over REST: as text, with no copy kept anywhere."""

from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest
from icalendar import Calendar

from bff import log
from bff.app import create_app
from bff.settings import Settings
from tests.world import World, tomorrow

UNKNOWN = "/api/calendar/" + "x" * 43 + ".ics"


@pytest.fixture
async def web(world: World) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(world.channel, Settings(_env_file=None), logger=log.logger("CRITICAL"))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://web.test") as client:
        yield client


async def test_a_calendar_program_reads_the_feed_with_its_address_alone(
    web: httpx.AsyncClient, world: World
) -> None:
    person = await world.person()
    signed_in = {"authorization": f"Bearer {person.token}"}
    body = {"requestId": str(uuid4())}
    made = await web.post("/api/me/calendar", json=body, headers=signed_in)
    assert made.status_code == 201
    path = f"/api/calendar/{made.json()['token']}.ics"
    answer = await web.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert Calendar.from_ical(answer.content)["method"] == "PUBLISH"
    ended = await web.delete("/api/me/calendar", params=body, headers=signed_in)
    assert ended.status_code == 200
    assert (await web.get(path)).status_code == 404


async def test_a_visit_is_a_file_for_those_who_see_it(web: httpx.AsyncClient, world: World) -> None:
    practice, patient = await world.practice(), await world.person()
    visit = await world.book(patient, practice, practice.at(tomorrow(practice), 10))
    path = f"/api/appointments/{visit.appointment_id}/calendar.ics"
    answer = await web.get(path, headers={"authorization": f"Bearer {patient.token}"})
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    assert visit.appointment_id in answer.text
    assert (await web.get(path)).json()["reason"] == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    ("path", "status"),
    [(UNKNOWN, 404), ("/api/calendar/short.ics", 422), ("/api/calendar/.ics", 404)],
)
async def test_an_address_that_is_none_is_a_problem(
    web: httpx.AsyncClient, path: str, status: int
) -> None:
    answer = await web.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
