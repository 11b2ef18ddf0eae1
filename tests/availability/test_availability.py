"""Opening hours and free times, as doctors, front desks and patients call them."""

import time
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import grpc
import pytest
from google.type import date_pb2, timeofday_pb2

from carelane.availability.v1 import availability_pb2 as pb
from carelane.availability.v1 import explanation_pb2
from server.availability import service
from server.availability.hours import Rule, Window
from server.core.clock import MovableClock
from tests.refusal import refused
from tests.world import Person, PracticeOf, World, tomorrow

DAY = timedelta(days=1)


def window(start: int, end: int) -> pb.Window:
    """Write a window of whole hours."""
    return pb.Window(
        start=timeofday_pb2.TimeOfDay(hours=start), end=timeofday_pb2.TimeOfDay(hours=end)
    )


def rule(weekday: Any, start: int, end: int, **valid: Any) -> pb.WeeklyRule:
    return pb.WeeklyRule(day_of_week=weekday, window=window(start, end), **valid)


def override(day: date, *windows: pb.Window) -> pb.DateOverride:
    return pb.DateOverride(
        date=date_pb2.Date(year=day.year, month=day.month, day=day.day), windows=windows
    )


async def set_hours(
    world: World, person: Person | None, practice: PracticeOf | None, **fields: Any
) -> Any:
    """Set the hours as somebody, and answer the availability."""
    usual = {"request_id": uuid4(), "practice_id": practice.practice_id if practice else ""}
    return (await world.call("SetAvailability", person, **(usual | fields))).availability


async def slots(world: World, practice: PracticeOf, **fields: Any) -> list[str]:
    """Answer the local starts of a practice's free times."""
    answer = await world.call("GetSlots", doctor_id=practice.doctor.user_id, **fields)
    return [
        slot.start_time.ToDatetime(tzinfo=practice.zone).strftime("%d %H:%M")
        for day in answer.days
        for slot in day.slots
    ]


async def test_a_doctor_opens_hours_and_they_are_offered(world: World) -> None:
    practice = await world.practice(rules=())
    day = tomorrow(practice)
    assert await slots(world, practice) == []
    saved = await set_hours(world, practice.doctor, practice, rules=[rule(day.isoweekday(), 9, 11)])
    assert saved.time_zone == "Asia/Kolkata"
    offered = await slots(world, practice, from_date=day, days=7)
    assert offered == [f"{day.day:02} {time}" for time in ("09:00", "09:30", "10:00", "10:30")]


async def test_what_was_set_is_read_back(world: World) -> None:
    practice = await world.practice(rules=())
    day = tomorrow(practice) + 3 * DAY
    until = date_pb2.Date(year=2030, month=1, day=31)
    fields = {
        "rules": [rule(1, 9, 12), rule(1, 14, 18, valid_until=until)],
        "overrides": [override(day), override(day + DAY, window(7, 8), window(22, 2))],
    }
    saved = await set_hours(world, practice.doctor, practice, **fields)
    read = (
        await world.call("GetAvailability", practice.doctor, practice_id=practice.practice_id)
    ).availability
    assert read == saved
    assert (list(read.rules), list(read.overrides)) == (fields["rules"], fields["overrides"])


async def test_a_doctor_with_one_practice_need_not_name_it(world: World) -> None:
    practice = await world.practice(rules=())
    saved = await set_hours(world, practice.doctor, None, rules=[rule(1, 9, 12)])
    assert saved.practice_id == str(practice.practice_id)
    await world.practice(doctor=practice.doctor)
    refusal = await refused(set_hours(world, practice.doctor, None, rules=[rule(1, 9, 12)]))
    assert list(refusal.fields) == ["practice_id"]


@pytest.mark.parametrize("who", ["doctor", "owner", "desk"])
async def test_the_doctor_and_the_clinic_s_staff_set_hours(world: World, who: str) -> None:
    practice = await world.practice()
    people = {
        "doctor": practice.doctor,
        "owner": practice.owner,
        "desk": await world.front_desk(practice),
    }
    saved = await set_hours(world, people[who], practice, rules=[rule(1, 9, 12)])
    assert len(saved.rules) == 1


async def test_to_others_the_practice_does_not_exist(world: World) -> None:
    practice, other = await world.practice(), await world.practice()
    colleague = await world.person("doctor")
    await world.member(practice.owner, practice.clinic_id, colleague, "doctor")
    for stranger in (await world.person(), other.doctor, other.owner, colleague):
        refusal = await refused(set_hours(world, stranger, practice))
        assert refusal.code is grpc.StatusCode.NOT_FOUND
        refusal = await refused(
            world.call("GetAvailability", stranger, practice_id=practice.practice_id)
        )
        assert refusal.code is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("rpc_name", ["SetAvailability", "GetAvailability"])
async def test_hours_need_a_token(world: World, rpc_name: str) -> None:
    refusal = await refused(world.call(rpc_name, practice_id=uuid4()))
    assert refusal.code is grpc.StatusCode.UNAUTHENTICATED


async def test_a_repeated_request_answers_the_same(world: World) -> None:
    practice, once = await world.practice(), uuid4()
    fields = {"request_id": once, "rules": [rule(1, 9, 12)]}
    first = await set_hours(world, practice.doctor, practice, **fields)
    assert await set_hours(world, practice.doctor, practice, **fields) == first
    refusal = await refused(set_hours(world, practice.doctor, practice, request_id=once))
    assert refusal.reason == "REQUEST_ID_REUSED"


async def test_of_two_who_edit_the_second_is_told(world: World) -> None:
    practice = await world.practice()
    read = await world.call("GetAvailability", practice.doctor, practice_id=practice.practice_id)
    etag = read.availability.etag
    await set_hours(world, practice.owner, practice, rules=[rule(1, 9, 12)], etag=etag)
    refusal = await refused(
        set_hours(world, practice.doctor, practice, rules=[rule(1, 8, 9)], etag=etag)
    )
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")


async def test_an_edit_that_strands_a_visit_is_refused_unless_allowed(world: World) -> None:
    practice = await world.practice()
    day = tomorrow(practice)
    await world.book(await world.person(), practice, practice.at(day, 10))
    closed = {"overrides": [override(day)]}
    refusal = await refused(set_hours(world, practice.doctor, practice, **closed))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "STRANDS_APPOINTMENTS",
    )
    assert refusal.metadata["count"] == "1"
    assert len(await slots(world, practice, from_date=day, days=1)) == 15
    await set_hours(world, practice.doctor, practice, **closed, allow_stranded=True)
    assert await slots(world, practice, from_date=day, days=1) == []
    await set_hours(world, practice.doctor, practice, **closed)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"rules": [rule(0, 9, 10)]}, "rules[0].day_of_week"),
        ({"rules": [rule(1, 9, 10), rule(1, 24, 10)]}, "rules[1].window"),
        ({"rules": [pb.WeeklyRule(day_of_week=1)]}, "rules[0].window"),  # type: ignore[arg-type]
        ({"overrides": [override(date(2020, 1, 1))]}, "overrides[0].date"),
        ({"overrides": [pb.DateOverride(date=date_pb2.Date(year=2027, month=2, day=30))]},
         "overrides[0].date"),
        ({"overrides": [override(date(2190, 1, 1))] * 2}, "overrides[1].date"),
        ({"rules": [rule(1, 9, 10)] * 201}, "rules"),
        ({"overrides": [override(date(2190, 1, 1))] * 751}, "overrides"),
        ({"overrides": [override(date(2190, 1, 1))] * 10_000}, "overrides"),
        ({"extra_openings": [pb.ExtraOpening(date=override(date(2190, 1, 1)).date,
                                             window=window(9, 10))] * 10_000}, "extra_openings"),
        ({"rules": [rule(1, 9, 10, valid_from=date_pb2.Date(year=2027, month=2, day=2),
                         valid_until=date_pb2.Date(year=2027, month=2, day=1))]},
         "rules[0].valid_until"),
    ],
)  # fmt: skip
async def test_an_invalid_field_is_named_and_nothing_is_written(
    world: World, fields: dict[str, Any], path: str
) -> None:
    practice = await world.practice()
    before = await world.call("GetAvailability", practice.doctor, practice_id=practice.practice_id)
    refusal = await refused(set_hours(world, practice.doctor, practice, **fields))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(refusal.fields) == [path]
    after = await world.call("GetAvailability", practice.doctor, practice_id=practice.practice_id)
    assert after == before


async def test_every_offered_slot_can_be_booked_and_then_is_gone(world: World) -> None:
    practice = await world.practice(buffer_after_minutes=15)
    day = tomorrow(practice)
    answer = await world.call("GetSlots", doctor_id=practice.doctor.user_id, from_date=day, days=1)
    for slot in list(answer.days[0].slots)[::2]:
        start = slot.start_time.ToDatetime(tzinfo=practice.zone)
        await world.book(await world.person(), practice, start)
    assert await slots(world, practice, from_date=day, days=1) == []


async def test_slots_come_by_practice_in_each_clinic_s_own_zone(world: World) -> None:
    kochi = await world.practice()
    london = await world.practice(doctor=kochi.doctor, zone="Europe/London")
    day = tomorrow(kochi) + DAY
    answer = await world.call("GetSlots", doctor_id=kochi.doctor.user_id, from_date=day, days=1)
    firsts = {
        each.practice_id: (each.time_zone, each.slots[0].start_time.ToDatetime(tzinfo=zone.zone))
        for each, zone in zip(answer.days, (kochi, london), strict=True)
    }
    assert firsts == {
        str(kochi.practice_id): ("Asia/Kolkata", kochi.at(day, 9)),
        str(london.practice_id): ("Europe/London", london.at(day, 9)),
    }
    one = await world.call(
        "GetSlots", doctor_id=kochi.doctor.user_id, practice_id=london.practice_id, from_date=day
    )
    assert {each.practice_id for each in one.days} == {str(london.practice_id)}


async def test_a_clinic_s_own_zone_decides_for_whomever_and_wherever(
    world: World, clock: MovableClock
) -> None:
    """The server is in Kathmandu, the patient in Kolkata, the doctor's other clinic in London.

    On 8 March 2026 New York goes to summer time, London does not.
    """
    new_york = await world.practice(zone="America/New_York")
    london = await world.practice(doctor=new_york.doctor, zone="Europe/London")
    assert time.tzname[0] == "+0545"
    clock.set(datetime(2026, 3, 6, 12, tzinfo=UTC))
    sunday, patient = date(2026, 3, 8), await world.person()
    found = await slots(world, new_york, practice_id=new_york.practice_id, from_date=sunday, days=1)
    assert (found[0], found[-1], len(found)) == ("08 09:00", "08 16:30", 16)
    in_kolkata = datetime(2026, 3, 8, 18, 30, tzinfo=ZoneInfo("Asia/Kolkata"))
    visit = await world.book(patient, new_york, in_kolkata)
    assert visit.time_zone == "America/New_York"
    assert visit.start_time.ToDatetime(tzinfo=new_york.zone) == new_york.at(sunday, 9)
    assert in_kolkata == datetime(2026, 3, 8, 13, tzinfo=UTC) == london.at(sunday, 13)
    found = await slots(world, london, practice_id=london.practice_id, from_date=sunday, days=1)
    assert (len(found), "08 13:00" in found) == (15, False)
    asked = {"practice_id": new_york.practice_id}
    for start, number in (
        (datetime(2026, 3, 7, 13, 30, tzinfo=UTC), explanation_pb2.BOOKING_RULE_OUTSIDE_HOURS),
        (datetime(2026, 3, 7, 14, 0, tzinfo=UTC), 0),
        (datetime(2026, 3, 8, 12, 30, tzinfo=UTC), explanation_pb2.BOOKING_RULE_OUTSIDE_HOURS),
        (datetime(2026, 3, 8, 13, 30, tzinfo=UTC), 0),
    ):
        told = await world.call("ExplainTime", start_time=start, **asked)
        assert told.explanation.rule == number


async def test_without_a_day_slots_start_today_at_the_clinic(
    world: World, clock: MovableClock
) -> None:
    practice = await world.practice()
    day = tomorrow(practice)
    clock.set(practice.at(day, 16, 10))
    assert (await slots(world, practice, days=1)) == [f"{day.day:02} 16:30"]


async def test_the_slots_of_nobody_are_not_found(world: World) -> None:
    practice, hidden = await world.practice(), await world.practice(verified=False)
    for fields in (
        {"doctor_id": uuid4()},
        {"doctor_id": hidden.doctor.user_id},
        {"doctor_id": practice.doctor.user_id, "practice_id": uuid4()},
        {"doctor_id": practice.doctor.user_id, "visit_type_id": uuid4()},
    ):
        refusal = await refused(world.call("GetSlots", **fields))
        assert refusal.code is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("field", "value"),
    [("days", 32), ("days", -1), ("doctor_id", "x"), ("from_date", date_pb2.Date(year=1))],
)
async def test_an_invalid_question_for_slots_names_the_field(
    world: World, field: str, value: Any
) -> None:
    fields = {"doctor_id": str(uuid4())} | {field: value}
    refusal = await refused(world.call("GetSlots", **fields))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(refusal.fields) == [field]


async def test_the_next_free_time_is_the_first_slot(world: World) -> None:
    practice = await world.practice()
    now = world.db.clock.now()
    (first,) = (await service.next_free(world.db, practice.doctor.user_id, now)).items()
    answer = await world.call("GetSlots", doctor_id=practice.doctor.user_id)
    start = answer.days[0].slots[0].start_time.ToDatetime(tzinfo=practice.zone)
    assert first == (practice.practice_id, start)


async def test_nobody_asks_for_times_without_end(world: World) -> None:
    practice = await world.practice(
        rules=tuple(Rule(day, Window(0, 0)) for day in range(1, 8)),
        length_minutes=4,
        interval_minutes=4,
    )
    refusal = await refused(slots(world, practice, days=31))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_LARGE")
    assert len(await slots(world, practice, days=27)) <= service.MOST_SLOTS
