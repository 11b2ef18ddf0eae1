"""Limits of a day and a week, the way between two clinics, and why a time cannot be booked."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.type import money_pb2

from carelane.availability.v1 import explanation_pb2, visit_type_pb2
from server.core.clock import MovableClock
from tests.availability.test_availability import rule, slots
from tests.refusal import refused
from tests.world import Person, PracticeOf, World, tomorrow

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


async def limit(world: World, practice: PracticeOf, **limits: int) -> None:
    """Bound how much of the practice's visit type is booked."""
    rules = visit_type_pb2.BookingRules(
        name="Consultation",
        length_minutes=30,
        horizon_days=60,
        price=money_pb2.Money(currency_code="INR", units=500),
        limits=visit_type_pb2.BookingLimits(**limits),
        is_default=True,
    )
    kept = {"visit_type_id": practice.visit_type_id, "request_id": uuid4()}
    await world.call("UpdateVisitType", practice.doctor, rules=rules, **kept)


async def explained(
    world: World, person: Person | None, practice: PracticeOf, start: datetime
) -> str:
    """Answer the rule that refuses a time, as somebody is told; empty when it can be booked."""
    at = {"practice_id": practice.practice_id, "start_time": start}
    answer = (await world.call("ExplainTime", person, **at)).explanation
    name = explanation_pb2.BookingRule.Name(answer.rule).removeprefix("BOOKING_RULE_")
    assert answer.bookable == (name == "UNSPECIFIED") == (not answer.text)
    return "" if answer.bookable else name


async def set_travel(
    world: World, person: Person | None, one: PracticeOf, other: PracticeOf, minutes: int
) -> Any:
    clinics = {"clinic_id": one.clinic_id, "other_clinic_id": other.clinic_id}
    ways = {"request_id": uuid4(), "minutes": minutes, **clinics}
    return (await world.call("SetTravelTime", person, **ways)).way


@pytest.mark.parametrize("limits", [{"day_visits": 2}, {"day_minutes": 60}])
async def test_a_full_day_is_not_offered_to_anybody(world: World, limits: dict[str, int]) -> None:
    practice = await world.practice()
    await limit(world, practice, **limits)
    day = tomorrow(practice)
    for hour in (9, 16):
        await world.book(await world.person(), practice, practice.at(day, hour))
    found = await slots(world, practice, from_date=day, days=2)
    assert {start[:2] for start in found} == {f"{day + DAY:%d}"}
    refusal = await refused(world.book(await world.person(), practice, practice.at(day, 12)))
    assert (refusal.reason, refusal.metadata["rule"]) == ("NOT_BOOKABLE", "DAY_LIMIT")


@pytest.mark.parametrize("limits", [{"week_visits": 2}, {"week_minutes": 75}])
async def test_a_full_week_is_counted_from_monday_to_sunday(
    world: World, limits: dict[str, int]
) -> None:
    practice = await world.practice()
    await limit(world, practice, **limits)
    monday = tomorrow(practice) + (7 - tomorrow(practice).weekday()) * DAY
    for day in (monday, monday + 6 * DAY):
        await world.book(await world.person(), practice, practice.at(day, 16, 30))
    found = await slots(world, practice, from_date=monday - DAY, days=9)
    assert {start[:2] for start in found} == {f"{monday - DAY:%d}", f"{monday + 7 * DAY:%d}"}
    thursday = practice.at(monday + 3 * DAY, 9)
    assert await explained(world, None, practice, thursday) == "WEEK_LIMIT"


async def test_limits_count_the_days_of_the_clinic(world: World, clock: MovableClock) -> None:
    """Nine in the evening in New York is the next day already in UTC and at the server."""
    practice = await world.practice(zone="America/New_York", horizon_days=20)
    day = tomorrow(practice)
    late = {"rules": [rule(weekday, 20, 23) for weekday in range(1, 8)]}
    fields = {"request_id": uuid4(), "practice_id": practice.practice_id}
    await world.call("SetAvailability", practice.doctor, **fields, **late)
    await limit(world, practice, day_visits=1)
    await world.book(await world.person(), practice, practice.at(day, 21))
    assert await explained(world, None, practice, practice.at(day, 20)) == "DAY_LIMIT"
    assert await explained(world, None, practice, practice.at(day + DAY, 20)) == ""


async def test_what_is_cancelled_and_other_visit_types_do_not_count(world: World) -> None:
    practice = await world.practice()
    await limit(world, practice, day_visits=1)
    day, patient = tomorrow(practice), await world.person()
    visit = await world.book(patient, practice, practice.at(day, 9))
    assert await explained(world, None, practice, practice.at(day, 12)) == "DAY_LIMIT"
    gone = {"request_id": uuid4(), "appointment_id": visit.appointment_id}
    await world.call("CancelAppointment", patient, **gone)
    assert await explained(world, None, practice, practice.at(day, 12)) == ""


async def test_the_way_between_two_clinics_is_kept_free(world: World) -> None:
    one = await world.practice()
    other = await world.practice(doctor=one.doctor)
    far = await world.practice(doctor=one.doctor)
    await set_travel(world, one.doctor, other, one, 45)
    day = tomorrow(one)
    await world.book(await world.person(), one, one.at(day, 12))
    expected = {(11, 0): "TRAVEL", (11, 30): "TRAVEL", (12, 0): "BUSY", (12, 30): "TRAVEL"}
    expected |= {(13, 0): "TRAVEL", (13, 30): "", (10, 30): ""}
    for time, rule_name in expected.items():
        assert await explained(world, one.doctor, other, other.at(day, *time)) == rule_name
        to_others = "BUSY" if rule_name else ""
        assert await explained(world, None, other, other.at(day, *time)) == to_others
    assert await explained(world, one.doctor, far, far.at(day, 11, 30)) == ""
    assert await explained(world, one.doctor, one, one.at(day, 11, 30)) == ""
    found = await slots(world, other, practice_id=other.practice_id, from_date=day, days=1)
    assert len(found) == 16 - 5
    refusal = await refused(world.book(await world.person(), other, other.at(day, 13)))
    assert refusal.reason == "SLOT_TAKEN"
    await world.book(await world.person(), other, other.at(day, 13, 30))


async def test_travel_times_are_listed_and_forgotten(world: World) -> None:
    one = await world.practice()
    practices = [await world.practice(doctor=one.doctor) for _ in range(2)]
    for number, other in enumerate(practices):
        await set_travel(world, one.doctor, one, other, 10 + number)
    await set_travel(world, one.doctor, practices[0], one, 20)
    page = await world.call("ListTravelTimes", one.doctor, page_size=1)
    rest = await world.call("ListTravelTimes", one.doctor, page_token=page.next_page_token)
    found = [*page.ways, *rest.ways]
    assert sorted(each.minutes for each in found) == [11, 20]
    await set_travel(world, one.doctor, one, practices[1], 0)
    left = await world.call("ListTravelTimes", one.doctor)
    assert [each.minutes for each in left.ways] == [20]
    stranger = await world.practice()
    assert not (await world.call("ListTravelTimes", stranger.doctor)).ways


async def test_a_repeated_travel_time_is_set_once(world: World) -> None:
    one = await world.practice()
    other = await world.practice(doctor=one.doctor)
    clinics = {"clinic_id": one.clinic_id, "other_clinic_id": other.clinic_id}
    ways = {"request_id": uuid4(), **clinics, "minutes": 5}
    first = await world.call("SetTravelTime", one.doctor, **ways)
    assert await world.call("SetTravelTime", one.doctor, **ways) == first
    refusal = await refused(world.call("SetTravelTime", one.doctor, **(ways | {"minutes": 6})))
    assert refusal.reason == "REQUEST_ID_REUSED"


async def test_travel_is_between_two_clinics_of_the_doctor(world: World) -> None:
    one, stranger = await world.practice(), await world.practice()
    refusal = await refused(set_travel(world, one.doctor, one, stranger, 5))
    assert refusal.code is grpc.StatusCode.NOT_FOUND
    for other, minutes, path in ((one, 5, "other_clinic_id"), (stranger, 721, "minutes")):
        refusal = await refused(set_travel(world, one.doctor, one, other, minutes))
        assert (refusal.code, list(refusal.fields)) == (grpc.StatusCode.INVALID_ARGUMENT, [path])
    refusal = await refused(set_travel(world, one.owner, one, stranger, 5))
    assert refusal.code is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("rpc_name", ["SetTravelTime", "ListTravelTimes"])
async def test_only_who_signs_in_edits(world: World, rpc_name: str) -> None:
    assert (await refused(world.call(rpc_name))).code is grpc.StatusCode.UNAUTHENTICATED


async def test_every_rule_is_explained(world: World) -> None:
    practice = await world.practice(notice_minutes=60, horizon_days=5)
    now, day = world.db.clock.now(), tomorrow(practice) + DAY
    asked = {
        now - MINUTE: "PAST",
        now + 30 * MINUTE: "NOTICE",
        practice.at(day + 10 * DAY, 9): "HORIZON",
        practice.at(day, 9, 10): "OFF_GRID",
        practice.at(day, 8): "OUTSIDE_HOURS",
        practice.at(day, 10): "",
    }
    for start, rule_name in asked.items():
        assert await explained(world, None, practice, start) == rule_name
    await world.book(await world.person(), practice, practice.at(day, 10))
    assert await explained(world, None, practice, practice.at(day, 10)) == "BUSY"


async def test_who_works_there_is_told_which_visit_takes_a_time(world: World) -> None:
    practice = await world.practice(buffer_after_minutes=15)
    day = tomorrow(practice)
    asha = await world.person(name="Asha Rao")
    visit = await world.book(asha, practice, practice.at(day, 10))
    desk = await world.front_desk(practice)
    asked = {"practice_id": practice.practice_id, "start_time": practice.at(day, 10, 30)}
    for insider in (practice.doctor, practice.owner, desk):
        told = (await world.call("ExplainTime", insider, **asked)).explanation
        assert told.rule == explanation_pb2.BOOKING_RULE_BUSY
        assert [(each.appointment_id, each.patient_name) for each in told.visits] == [
            (visit.appointment_id, "Asha Rao")
        ]
        assert told.visits[0].start_time == visit.start_time
        assert not told.HasField("hold_expire_time")
    colleague = await world.practice(at=practice)
    for outsider in (None, asha, colleague.doctor, (await world.practice()).owner):
        told = (await world.call("ExplainTime", outsider, **asked)).explanation
        assert told == explanation_pb2.TimeExplanation(
            rule=explanation_pb2.BOOKING_RULE_BUSY, text="The start is taken."
        )


async def test_who_works_there_is_told_when_a_hold_ends(world: World) -> None:
    practice, patient = await world.practice(), await world.person()
    asked = {"practice_id": practice.practice_id, "start_time": practice.at(tomorrow(practice), 10)}
    held = (await world.call("HoldSlot", patient, request_id=uuid4(), **asked)).hold
    told = (await world.call("ExplainTime", practice.owner, **asked)).explanation
    assert (told.hold_expire_time, list(told.visits)) == (held.expire_time, [])
    told = (await world.call("ExplainTime", await world.person(), **asked)).explanation
    assert told.rule == explanation_pb2.BOOKING_RULE_BUSY
    assert not told.HasField("hold_expire_time")


async def test_a_visit_at_another_clinic_is_named_to_the_doctor_alone(world: World) -> None:
    here = await world.practice()
    there = await world.practice(doctor=here.doctor)
    await set_travel(world, here.doctor, here, there, 45)
    day = tomorrow(here)
    visit = await world.book(await world.person(), there, there.at(day, 12))
    await world.book(await world.person(), here, here.at(day, 10))
    expected = {(12, 0): explanation_pb2.BOOKING_RULE_BUSY}
    expected[11, 0] = explanation_pb2.BOOKING_RULE_TRAVEL
    for time, rule_number in expected.items():
        asked = {"practice_id": here.practice_id, "start_time": here.at(day, *time)}
        for person, ids in ((here.doctor, [visit.appointment_id]), (here.owner, [])):
            told = (await world.call("ExplainTime", person, **asked)).explanation
            assert told.rule == rule_number
            assert [each.appointment_id for each in told.visits] == ids


async def test_all_who_come_to_a_full_group_are_named(world: World) -> None:
    practice = await world.practice(capacity=2)
    start = practice.at(tomorrow(practice), 10)
    visits = [await world.book(await world.person(), practice, start) for _ in range(2)]
    asked = {"practice_id": practice.practice_id, "start_time": start}
    told = (await world.call("ExplainTime", practice.owner, **asked)).explanation
    assert told.rule == explanation_pb2.BOOKING_RULE_FULL
    named = {each.appointment_id for each in told.visits}
    assert named == {visit.appointment_id for visit in visits}


async def test_what_does_not_exist_is_not_explained(world: World) -> None:
    practice = await world.practice()
    start = practice.at(tomorrow(practice), 9)
    for fields in (
        {"practice_id": uuid4()},
        {"practice_id": practice.practice_id, "visit_type_id": uuid4()},
    ):
        refusal = await refused(world.call("ExplainTime", start_time=start, **fields))
        assert refusal.code is grpc.StatusCode.NOT_FOUND
    refusal = await refused(world.call("ExplainTime", practice_id=practice.practice_id))
    assert list(refusal.fields) == ["start_time"]


async def test_a_group_takes_as_many_as_may_come_at_one_start(world: World) -> None:
    practice = await world.practice(capacity=2, length_minutes=60, interval_minutes=30)
    day = tomorrow(practice)
    start = practice.at(day, 10)
    await world.book(await world.person(), practice, start)
    assert await explained(world, None, practice, start) == ""
    assert await explained(world, None, practice, start + 30 * MINUTE) == "BUSY"
    assert f"{day.day:02} 10:00" in await slots(world, practice, from_date=day, days=1)
    await world.book(await world.person(), practice, start)
    assert await explained(world, None, practice, start) == "BUSY"
    assert await explained(world, practice.doctor, practice, start) == "FULL"
    assert f"{day.day:02} 10:00" not in await slots(world, practice, from_date=day, days=1)
    refusal = await refused(world.book(await world.person(), practice, start))
    assert refusal.reason == "SLOT_TAKEN"


async def test_a_session_of_other_rules_is_joined_by_nobody(world: World) -> None:
    practice = await world.practice(capacity=3)
    start = practice.at(tomorrow(practice), 10)
    await world.book(await world.person(), practice, start)
    rules = visit_type_pb2.BookingRules(
        name="Camp",
        length_minutes=45,
        interval_minutes=30,
        horizon_days=60,
        capacity=3,
        price=money_pb2.Money(currency_code="INR", units=500),
        is_default=True,
    )
    kept = {"visit_type_id": practice.visit_type_id, "request_id": uuid4()}
    await world.call("UpdateVisitType", practice.doctor, rules=rules, **kept)
    assert await explained(world, practice.doctor, practice, start) == "BUSY"
    refusal = await refused(world.book(await world.person(), practice, start))
    assert refusal.reason == "SLOT_TAKEN"
