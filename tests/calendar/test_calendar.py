"""Calendar files and feeds, as people and their calendar programs call for them."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest
from icalendar import Calendar, Event

from server.core.clock import MovableClock
from tests.calendar import rfc5545
from tests.refusal import refused
from tests.world import Person, PracticeOf, World, tomorrow


def read(text: str) -> Calendar:
    """Read a calendar with the library, after one that follows the standard to the letter."""
    rfc5545.read(text)
    return Calendar.from_ical(text)  # type: ignore[return-value]


def only_event(text: str) -> Event:
    (event,) = read(text).events
    return event


class Visited:
    """A visit of tomorrow, ten o'clock, in New York."""

    def __init__(self, world: World, practice: PracticeOf, patient: Person, visit: Any) -> None:
        self.world, self.practice, self.patient, self.visit = world, practice, patient, visit
        self.start = practice.at(tomorrow(practice), 10)

    async def file(self, person: Person | None) -> str:
        answer = await self.world.call(
            "GetAppointmentCalendar", person, appointment_id=self.visit.appointment_id
        )
        return str(answer.calendar)

    async def change(self, rpc_name: str, person: Person) -> None:
        await self.world.call(
            rpc_name, person, request_id=uuid4(), appointment_id=self.visit.appointment_id
        )


@pytest.fixture
async def visited(world: World) -> Visited:
    practice = await world.practice(zone="America/New_York")
    patient = await world.person(name="Zoë Müller, the second")
    visit = await world.book(patient, practice, practice.at(tomorrow(practice), 10))
    return Visited(world, practice, patient, visit)


async def rotate(world: World, person: Person, **fields: Any) -> Any:
    return await world.call("RotateCalendarFeed", person, **({"request_id": uuid4()} | fields))


async def feed(world: World, token: str) -> str:
    return str((await world.call("ReadCalendarFeed", token=token)).calendar)


async def test_a_visit_is_an_invitation_in_the_clinics_time(visited: Visited) -> None:
    text = await visited.file(visited.patient)
    calendar, event = read(text), only_event(text)
    assert calendar["method"] == "REQUEST"
    assert event["uid"] == f"{visited.visit.appointment_id}@carelane"
    assert event["dtstart"].dt == visited.start
    assert event["dtstart"].params["TZID"] == "America/New_York"
    assert event["dtend"].dt - event["dtstart"].dt == timedelta(minutes=30)
    assert event["status"] == "CONFIRMED"
    assert event["summary"] == "Consultation: Dr. Meera Nair"
    assert event["attendee"].params["CN"] == "Zoë Müller, the second"
    assert event["dtstamp"].dt.utcoffset() == timedelta(0)
    (zone,) = calendar.timezones
    assert zone.tz_name == "America/New_York"
    assert not event.errors


async def test_a_move_has_the_same_uid_and_a_higher_sequence(visited: Visited) -> None:
    before = only_event(await visited.file(visited.patient))
    for days in (1, 2):
        start = visited.start + timedelta(days=days)
        moved = {"appointment_id": visited.visit.appointment_id, "start_time": start}
        await visited.world.call(
            "RescheduleAppointment", visited.patient, request_id=uuid4(), **moved
        )
        after = only_event(await visited.file(visited.patient))
        assert after["uid"] == before["uid"]
        assert after["sequence"] == before["sequence"] + days
        assert after["dtstart"].dt == start


async def test_a_change_has_the_same_uid_and_a_higher_sequence(visited: Visited) -> None:
    before = only_event(await visited.file(visited.patient))
    await visited.change("ConfirmAppointment", visited.practice.doctor)
    after = only_event(await visited.file(visited.patient))
    assert after["uid"] == before["uid"]
    assert after["sequence"] == before["sequence"] + 1


async def test_a_visit_called_off_is_withdrawn(visited: Visited) -> None:
    await visited.change("CancelAppointment", visited.patient)
    text = await visited.file(visited.patient)
    assert read(text)["method"] == "CANCEL"
    assert only_event(text)["status"] == "CANCELLED"
    assert only_event(text)["sequence"] == 1


async def test_the_same_visit_is_written_the_same_way_each_time(visited: Visited) -> None:
    assert await visited.file(visited.patient) == await visited.file(visited.practice.doctor)


async def test_a_visit_of_others_has_no_file(visited: Visited) -> None:
    stranger = await visited.world.person()
    assert (await refused(visited.file(stranger))).code == grpc.StatusCode.NOT_FOUND
    assert (await refused(visited.file(None))).code == grpc.StatusCode.UNAUTHENTICATED
    broken = visited.world.call("GetAppointmentCalendar", stranger, appointment_id="x")
    assert [*(await refused(broken)).fields] == ["appointment_id"]


async def test_a_patients_feed_has_their_visits_with_those_called_off(visited: Visited) -> None:
    world, patient = visited.world, visited.patient
    token = (await rotate(world, patient)).token
    event = only_event(await feed(world, token))
    assert event["uid"] == f"{visited.visit.appointment_id}@carelane"
    assert event["dtstart"].dt == visited.start
    await visited.change("CancelAppointment", patient)
    text = await feed(world, token)
    assert read(text)["method"] == "PUBLISH"
    assert only_event(text)["status"] == "CANCELLED"


async def test_visits_of_dependants_say_who_comes(world: World) -> None:
    practice, guardian = await world.practice(), await world.person()
    child = await world.dependant(guardian)
    start = practice.at(tomorrow(practice), 10)
    visit = await world.book(guardian, practice, start, patient_id=child)
    await world.book(guardian, practice, start + timedelta(hours=1))
    calendar = read(await feed(world, (await rotate(world, guardian)).token))
    summaries = [str(event["summary"]) for event in calendar.events]
    assert summaries == [
        "Consultation: Dr. Meera Nair (Kiran Rao)",
        "Consultation: Dr. Meera Nair",
    ]
    event = only_event(await Visited(world, practice, guardian, visit).file(guardian))
    assert (str(event["summary"]), event["attendee"].params["CN"]) == (summaries[0], "Kiran Rao")
    event, _ = read(await feed(world, (await rotate(world, practice.doctor)).token)).events
    assert event["summary"] == "Consultation: Kiran R."


async def test_a_feed_has_every_zone_of_its_visits_once(visited: Visited) -> None:
    world = visited.world
    for zone, hour in (("Asia/Kolkata", 11), ("Europe/London", 11), ("Asia/Kolkata", 12)):
        practice = await world.practice(zone=zone)
        await world.book(visited.patient, practice, practice.at(tomorrow(practice), hour))
    calendar = read(await feed(world, (await rotate(world, visited.patient)).token))
    assert [zone.tz_name for zone in calendar.timezones] == [
        "America/New_York",
        "Asia/Kolkata",
        "Europe/London",
    ]
    assert len(calendar.events) == 4


async def test_a_doctors_feed_names_no_patient_in_full_and_no_reason(world: World) -> None:
    practice, patient = await world.practice(), await world.person(name="Asha Rao")
    await world.call(
        "BookAppointment",
        patient,
        request_id=uuid4(),
        practice_id=practice.practice_id,
        start_time=practice.at(tomorrow(practice), 10),
        reason="chest pain",
    )
    text = await feed(world, (await rotate(world, practice.doctor)).token)
    assert only_event(text)["summary"] == "Consultation: Asha R."
    assert "Rao" not in text
    assert "chest" not in text


async def test_a_feed_without_visits_is_a_calendar(world: World) -> None:
    person = await world.person()
    assert read(await feed(world, (await rotate(world, person)).token)).events == []


async def test_visits_of_long_ago_are_left_out(visited: Visited, clock: MovableClock) -> None:
    token = (await rotate(visited.world, visited.patient)).token
    clock.advance(timedelta(days=40))
    assert read(await feed(visited.world, token)).events == []


async def test_a_new_address_ends_the_one_before(world: World) -> None:
    person = await world.person()
    old, new = (await rotate(world, person)).token, (await rotate(world, person)).token
    assert (await refused(feed(world, old))).code == grpc.StatusCode.NOT_FOUND
    assert await feed(world, new)


async def test_a_repeat_gets_the_same_address(world: World) -> None:
    person, request_id = await world.person(), uuid4()
    first = await rotate(world, person, request_id=request_id)
    assert await rotate(world, person, request_id=request_id) == first
    assert await feed(world, first.token)


async def test_a_late_repeat_brings_no_old_address_back(world: World) -> None:
    person, request_id = await world.person(), uuid4()
    old = (await rotate(world, person, request_id=request_id)).token
    new = (await rotate(world, person)).token
    assert (await rotate(world, person, request_id=request_id)).token == old
    assert (await refused(feed(world, old))).code == grpc.StatusCode.NOT_FOUND
    assert await feed(world, new)


async def test_two_people_with_the_same_request_id_have_addresses_of_their_own(
    world: World,
) -> None:
    request_id = uuid4()
    one = await rotate(world, await world.person(), request_id=request_id)
    two = await rotate(world, await world.person(), request_id=request_id)
    assert one.token != two.token


async def test_the_secret_is_stored_nowhere(world: World) -> None:
    person = await world.person()
    token = (await rotate(world, person)).token
    async with world.db.transaction(person.caller) as tx:
        connection = tx._connection
        for table in ("calendar_feed", "idempotency"):
            rows = await connection.fetch(f"SELECT * FROM {table}")
            assert rows
            assert not any(token.encode() in bytes(str(row), "utf-8") for row in rows)


async def test_a_revoked_address_reads_nothing(world: World) -> None:
    person, request_id = await world.person(), uuid4()
    token = (await rotate(world, person)).token
    for _ in range(2):
        await world.call("RevokeCalendarFeed", person, request_id=request_id)
    assert (await refused(feed(world, token))).code == grpc.StatusCode.NOT_FOUND
    missing = await refused(world.call("GetCalendarFeed", person))
    assert missing.code == grpc.StatusCode.NOT_FOUND


async def test_a_person_sees_that_they_have_a_feed_and_not_others(world: World) -> None:
    person = await world.person()
    made = await rotate(world, person)
    assert (await world.call("GetCalendarFeed", person)).feed == made.feed
    missing = await refused(world.call("GetCalendarFeed", await world.person()))
    assert missing.code == grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("rpc", ["GetCalendarFeed", "RotateCalendarFeed", "RevokeCalendarFeed"])
async def test_a_feed_is_for_patients_and_doctors_who_are_signed_in(world: World, rpc: str) -> None:
    fields = {} if rpc.startswith("Get") else {"request_id": uuid4()}
    nobody = await refused(world.call(rpc, **fields))
    assert nobody.code == grpc.StatusCode.UNAUTHENTICATED
    staff = await refused(world.call(rpc, await world.person("staff"), **fields))
    assert staff.code == grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("rpc", ["RotateCalendarFeed", "RevokeCalendarFeed"])
async def test_a_request_id_is_a_uuid(world: World, rpc: str) -> None:
    refusal = await refused(world.call(rpc, await world.person(), request_id="once"))
    assert [*refusal.fields] == ["request_id"]


@pytest.mark.parametrize("token", ["", "x" * 42, "x" * 44, "x" * 42 + "/", "x" * 42 + "\n"])
async def test_what_cannot_be_a_secret_is_refused(world: World, token: str) -> None:
    assert [*(await refused(feed(world, token))).fields] == ["token"]
    assert (await refused(feed(world, "x" * 43))).code == grpc.StatusCode.NOT_FOUND


async def test_names_with_signs_of_the_format_stay_names(world: World) -> None:
    practice = await world.practice()
    patient = await world.person(name='Asha "Ash"; Rao: ^n,\\')
    visit = await world.book(patient, practice, practice.at(tomorrow(practice), 10))
    event = only_event(await Visited(world, practice, patient, visit).file(patient))
    assert event["attendee"].params["CN"] == 'Asha "Ash"; Rao: ^n,\\'
    assert event["organizer"].params["CN"] == "Lakeside Clinic"


async def test_text_is_escaped_and_folded(world: World) -> None:
    name = 'कार्डियोलॉजी; "first", then\\and; ' * 4
    practice, patient = await world.practice(name=name), await world.person()
    visit = await world.book(patient, practice, practice.at(tomorrow(practice), 10))
    calendar = rfc5545.read(await Visited(world, practice, patient, visit).file(patient))
    (event,) = calendar.of_kind("VEVENT")
    assert event.properties["SUMMARY"].text() == f"{name}: Dr. Meera Nair"
    assert event.properties["LOCATION"].text() == "Lakeside Clinic, 1 Lake Road, Kochi"


async def test_control_characters_spoil_no_file(world: World) -> None:
    practice = await world.practice(name="Visit\x0b\x7f\r\nX-ODD:1")
    patient = await world.person(name="Zo\x07\x85\u2028e M\x1buller")
    visit = await world.book(patient, practice, practice.at(tomorrow(practice), 10))
    file = await Visited(world, practice, patient, visit).file(patient)
    event = only_event(file)
    assert event["SUMMARY"] == "Visit X-ODD:1: Dr. Meera Nair"
    assert event["ATTENDEE"].params["CN"] == "Zo e M uller"
    assert file.splitlines() == file.removesuffix("\r\n").split("\r\n")
    made = await rotate(world, practice.doctor)
    assert only_event(await feed(world, made.token))["SUMMARY"] == "Visit X-ODD:1: Zo e M."
