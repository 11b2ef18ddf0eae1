"""Calendars over REST: as text, with no copy kept anywhere."""

from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest
from icalendar import Calendar
from prometheus_client import CollectorRegistry

from bff import log
from bff.app import create_app
from bff.settings import Settings
from carelane.calendar.v1 import calendar_service_pb2_grpc
from server.calendar.feeds import Secrets
from server.calendar.servicer import CalendarServicer
from server.core import rpc
from server.core.channel import InProcessChannel
from server.core.metrics import CallMetrics
from tests.world import Person, World, tomorrow
from tests.world import _authenticate as authenticate

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


async def test_the_address_of_a_feed_is_in_no_log(
    world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    logger = log.logger("DEBUG")
    registry = rpc.Registry(authenticate, logger=logger, metrics=CallMetrics(CollectorRegistry()))
    secrets = Secrets(b"a secret for the feeds of tests")
    calendar_service_pb2_grpc.add_CalendarServiceServicer_to_server(
        CalendarServicer(world.db, secrets), registry
    )
    app = create_app(InProcessChannel(registry), Settings(_env_file=None), logger=logger)
    person, body = await world.person(), {"requestId": str(uuid4())}
    signed_in = {"authorization": f"Bearer {person.token}"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://web.test"
    ) as client:
        made = await client.post("/api/me/calendar", json=body, headers=signed_in)
        token = made.json()["token"]
        assert (await client.get(f"/api/calendar/{token}.ics")).status_code == 200
        await rotated(world, person)
        assert (await client.get(f"/api/calendar/{token}.ics")).status_code == 404
        assert (await client.get(f"/api/calendar/{token}x.ics")).status_code == 422
    written = "".join(capfd.readouterr())
    assert "ReadCalendarFeed" in written
    assert "/api/calendar/{token}.ics" in written
    assert token not in written


async def rotated(world: World, person: Person) -> None:
    """Make another address, which ends the one before."""
    await world.call("RotateCalendarFeed", person, request_id=uuid4())


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
