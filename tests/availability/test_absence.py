"""Time off, closures, public holidays and extra openings: what they take away and add."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import grpc
import pytest
from google.type import date_pb2

from carelane.availability.v1 import availability_pb2 as pb
from carelane.availability.v1 import explanation_pb2
from server.availability import holidays
from server.availability.hours import Hours, Rule, Window
from server.availability.slots import Refusal, Schedule, Terms, offered, refusal
from server.core.clock import MovableClock
from tests.availability.test_availability import override, rule, set_hours, slots, window
from tests.refusal import refused
from tests.world import Person, PracticeOf, World, tomorrow

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
TIME_OFF = explanation_pb2.BOOKING_RULE_TIME_OFF


async def add_time_off(
    world: World, person: Person | None, start: datetime, end: datetime, **fields: Any
) -> Any:
    usual = {"request_id": uuid4(), "start_time": start, "end_time": end}
    return (await world.call("AddTimeOff", person, **(usual | fields))).time_off


async def close(world: World, person: Person | None, practice: PracticeOf, **fields: Any) -> Any:
    usual = {"request_id": uuid4(), "clinic_id": practice.clinic_id, "name": "Renovation"}
    return (await world.call("AddClosure", person, **(usual | fields))).closure


async def keep(world: World, person: Person | None, practice: PracticeOf, **fields: Any) -> Any:
    usual = {"request_id": uuid4(), "clinic_id": practice.clinic_id, "observed": True}
    answer = await world.call("SetPublicHolidays", person, **(usual | fields))
    return answer.public_holidays


async def test_time_off_is_not_offered_at_any_clinic_until_it_is_removed(world: World) -> None:
    first = await world.practice()
    second = await world.practice(doctor=first.doctor)
    day = tomorrow(first)
    added = await add_time_off(world, first.doctor, first.at(day, 9, 10), first.at(day, 16, 50))
    assert await slots(world, first, from_date=day, days=1) == []
    listed = await world.call("ListTimeOff", first.doctor)
    assert list(listed.time_off) == [added]
    gone = {"request_id": uuid4(), "time_off_id": added.time_off_id}
    await world.call("RemoveTimeOff", first.doctor, **gone)
    found = await slots(world, second, from_date=day, days=1)
    assert len(found) == 32
    await world.call("RemoveTimeOff", first.doctor, **gone)
    again = gone | {"request_id": uuid4()}
    refusal = await refused(world.call("RemoveTimeOff", first.doctor, **again))
    assert refusal.code is grpc.StatusCode.NOT_FOUND


async def test_time_off_cannot_be_booked(world: World) -> None:
    practice = await world.practice()
    day = tomorrow(practice)
    await add_time_off(world, practice.doctor, practice.at(day, 12), practice.at(day, 14))
    patient = await world.person()
    refusal = await refused(world.book(patient, practice, practice.at(day, 13, 30)))
    assert (refusal.reason, refusal.metadata["rule"]) == ("NOT_BOOKABLE", "TIME_OFF")
    await world.book(patient, practice, practice.at(day, 14))


async def test_time_off_that_strands_visits_is_refused_unless_allowed(world: World) -> None:
    practice = await world.practice()
    day = tomorrow(practice)
    await world.book(await world.person(), practice, practice.at(day, 10))
    span = (practice.at(day, 9), practice.at(day, 10, 10))
    refusal = await refused(add_time_off(world, practice.doctor, *span))
    assert refusal.reason == "STRANDS_APPOINTMENTS"
    assert list(refusal.fields) == ["start_time"]
    assert not (await world.call("ListTimeOff", practice.doctor)).time_off
    await add_time_off(world, practice.doctor, *span, allow_stranded=True)


async def test_time_off_at_all_clinics_is_the_doctor_s_own(world: World) -> None:
    practice, other = await world.practice(), await world.practice()
    start = practice.at(tomorrow(practice), 9)
    added = await add_time_off(world, practice.doctor, start, start + HOUR)
    gone = {"request_id": uuid4(), "time_off_id": added.time_off_id}
    for stranger in (other.doctor, other.owner, practice.owner, await world.person()):
        refusal = await refused(world.call("RemoveTimeOff", stranger, **gone))
        assert refusal.code is grpc.StatusCode.NOT_FOUND
        assert not (await world.call("ListTimeOff", stranger)).time_off
    for nobody in (await world.person(), practice.owner, await world.person("doctor")):
        refusal = await refused(add_time_off(world, nobody, start, start + HOUR))
        assert refusal.code is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("who", ["doctor", "owner", "desk"])
async def test_the_clinic_s_staff_enter_time_off_of_a_doctor_at_their_clinic(
    world: World, who: str
) -> None:
    here = await world.practice()
    there = await world.practice(doctor=here.doctor)
    people = {"doctor": here.doctor, "owner": here.owner, "desk": await world.front_desk(here)}
    person, day, at = people[who], tomorrow(here), {"practice_id": here.practice_id}
    added = await add_time_off(world, person, here.at(day, 9), here.at(day, 17), **at)
    assert added.practice_id == str(here.practice_id)
    assert added.doctor_id == str(here.doctor.user_id)
    found = await world.call("GetSlots", doctor_id=here.doctor.user_id, from_date=day, days=1)
    assert [each.practice_id for each in found.days] == [str(there.practice_id)]
    asked = {"practice_id": here.practice_id, "start_time": here.at(day, 10)}
    assert (await world.call("ExplainTime", **asked)).explanation.rule == TIME_OFF
    everywhere = await add_time_off(world, here.doctor, here.at(day, 18), here.at(day, 19))
    listed = await world.call("ListTimeOff", person, **at)
    assert list(listed.time_off) == [added, everywhere]
    gone = {"request_id": uuid4(), "time_off_id": added.time_off_id}
    await world.call("RemoveTimeOff", person, **gone)
    assert len(await slots(world, here, practice_id=here.practice_id, from_date=day, days=1)) == 16


async def test_staff_of_another_clinic_enter_no_time_off_here(world: World) -> None:
    here = await world.practice()
    there = await world.practice(doctor=here.doctor)
    start, at = here.at(tomorrow(here), 9), {"practice_id": here.practice_id}
    added = await add_time_off(world, here.owner, start, start + HOUR, **at)
    gone = {"request_id": uuid4(), "time_off_id": added.time_off_id}
    for stranger in (there.owner, await world.person(), (await world.practice()).doctor):
        for call in (
            add_time_off(world, stranger, start, start + HOUR, **at),
            world.call("RemoveTimeOff", stranger, **gone),
            world.call("ListTimeOff", stranger, **at),
        ):
            assert (await refused(call)).code is grpc.StatusCode.NOT_FOUND
    assert not (
        await world.call("ListTimeOff", there.owner, practice_id=there.practice_id)
    ).time_off


async def test_time_off_at_one_clinic_strands_no_visit_at_another(world: World) -> None:
    here = await world.practice()
    there = await world.practice(doctor=here.doctor)
    start = here.at(tomorrow(here), 10)
    await world.book(await world.person(), here, start)
    span = (start, start + HOUR)
    await add_time_off(world, there.owner, *span, practice_id=there.practice_id)
    at = {"practice_id": here.practice_id}
    refusal = await refused(add_time_off(world, here.owner, *span, **at))
    assert (refusal.reason, refusal.metadata["count"]) == ("STRANDS_APPOINTMENTS", "1")
    assert (await refused(add_time_off(world, here.doctor, *span))).metadata["count"] == "1"
    await add_time_off(world, here.owner, *span, **at, allow_stranded=True)


async def test_repeated_time_off_is_added_once(world: World) -> None:
    practice, once = await world.practice(), uuid4()
    start = practice.at(tomorrow(practice), 9)
    span = (start, start + HOUR)
    first = await add_time_off(world, practice.doctor, *span, request_id=once)
    assert await add_time_off(world, practice.doctor, *span, request_id=once) == first
    for number in range(1, 3):
        await add_time_off(world, practice.doctor, start + number * DAY, start + 2 * number * DAY)
    page = await world.call("ListTimeOff", practice.doctor, page_size=2)
    rest = await world.call("ListTimeOff", practice.doctor, page_token=page.next_page_token)
    assert (len(page.time_off), len(rest.time_off)) == (2, 1)


@pytest.mark.parametrize(
    ("start", "end"), [(1, 1), (2, 1), (-3, -1), (1, 368)], ids=["none", "back", "past", "long"]
)
async def test_time_off_lies_ahead_and_is_of_some_length(
    world: World, start: int, end: int
) -> None:
    practice, now = await world.practice(), world.db.clock.now()
    refusal = await refused(
        add_time_off(world, practice.doctor, now + start * DAY, now + end * DAY)
    )
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(refusal.fields) == ["end_time"]


@pytest.mark.parametrize(
    "rpc_name",
    [
        *("AddTimeOff", "RemoveTimeOff", "ListTimeOff", "AddClosure", "RemoveClosure"),
        *("ListClosures", "SetPublicHolidays", "GetPublicHolidays"),
    ],
)
async def test_absences_need_a_token(world: World, rpc_name: str) -> None:
    assert (await refused(world.call(rpc_name))).code is grpc.StatusCode.UNAUTHENTICATED


async def test_a_closed_clinic_is_not_offered_until_it_opens(world: World) -> None:
    practice = await world.practice()
    day, desk = tomorrow(practice), await world.front_desk(practice)
    made = await close(world, desk, practice, first_date=day, last_date=day + DAY)
    found = await slots(world, practice, from_date=day, days=3)
    assert {start[:2] for start in found} == {f"{day + 2 * DAY:%d}"}
    refusal = await refused(world.book(await world.person(), practice, practice.at(day, 10)))
    assert refusal.metadata["rule"] == "CLOSED"
    listed = await world.call("ListClosures", practice.doctor, clinic_id=practice.clinic_id)
    assert list(listed.closures) == [made]
    gone = {"clinic_id": practice.clinic_id, "closure_id": made.closure_id}
    await world.call("RemoveClosure", practice.owner, request_id=uuid4(), **gone)
    assert len(await slots(world, practice, from_date=day, days=1)) == 16
    refusal = await refused(world.call("RemoveClosure", practice.owner, request_id=uuid4(), **gone))
    assert refusal.code is grpc.StatusCode.NOT_FOUND


async def test_a_closure_leaves_the_doctor_s_other_clinic_open(world: World) -> None:
    practice = await world.practice()
    other = await world.practice(doctor=practice.doctor)
    day = tomorrow(practice)
    await close(world, practice.owner, practice, first_date=day, last_date=day)
    answer = await world.call("GetSlots", doctor_id=practice.doctor.user_id, from_date=day, days=1)
    assert [each.practice_id for each in answer.days] == [str(other.practice_id)]


async def test_a_closure_that_strands_visits_is_refused_unless_allowed(world: World) -> None:
    practice, once = await world.practice(), uuid4()
    day = tomorrow(practice)
    await world.book(await world.person(), practice, practice.at(day, 10))
    span = {"first_date": day - DAY, "last_date": day, "request_id": once}
    refusal = await refused(close(world, practice.owner, practice, **span))
    assert (refusal.reason, refusal.metadata["count"]) == ("STRANDS_APPOINTMENTS", "1")
    allowed = span | {"allow_stranded": True}
    made = await close(world, practice.owner, practice, **allowed)
    assert await close(world, practice.owner, practice, **allowed) == made


@pytest.mark.parametrize(
    ("first", "last", "path"),
    [(2, 1, "last_date"), (-2, -1, "last_date"), (0, 367, "last_date")],
)
async def test_a_closure_lies_ahead(world: World, first: int, last: int, path: str) -> None:
    practice = await world.practice()
    today = tomorrow(practice) - DAY
    days = {"first_date": today + first * DAY, "last_date": today + last * DAY}
    refusal = await refused(close(world, practice.owner, practice, **days))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(refusal.fields) == [path]


async def test_to_others_the_clinic_has_no_closures(world: World) -> None:
    practice, other = await world.practice(), await world.practice()
    day = tomorrow(practice)
    at = {"clinic_id": practice.clinic_id}
    made = await close(world, practice.owner, practice, first_date=day, last_date=day)
    gone = {**at, "closure_id": made.closure_id, "request_id": uuid4()}
    for stranger in (await world.person(), other.owner, other.doctor):
        calls = (
            close(world, stranger, practice, first_date=day, last_date=day),
            world.call("RemoveClosure", stranger, **gone),
            world.call("ListClosures", stranger, **at),
            world.call("GetPublicHolidays", stranger, **at),
            keep(world, stranger, practice),
        )
        for call in calls:
            assert (await refused(call)).code is grpc.StatusCode.NOT_FOUND
    for call in (
        close(world, practice.doctor, practice, first_date=day, last_date=day),
        keep(world, practice.doctor, practice),
    ):
        assert (await refused(call)).code is grpc.StatusCode.NOT_FOUND


async def test_a_clinic_keeps_public_holidays_but_those_it_switches_off(
    world: World, clock: MovableClock
) -> None:
    practice = await world.practice(horizon_days=90)
    clock.set(datetime(2027, 12, 1, 6, tzinfo=UTC))
    christmas = {"from_date": date(2027, 12, 25), "days": 1}
    shown = await world.call("GetPublicHolidays", practice.doctor, clinic_id=practice.clinic_id)
    before = shown.public_holidays
    assert (before.observed, before.country_code) == (False, "IN")
    assert len(await slots(world, practice, **christmas)) == 16
    kept = await keep(world, practice.owner, practice, etag=before.etag)
    assert {"Christmas"} <= {each.name for each in kept.holidays if not each.open}
    assert await slots(world, practice, **christmas) == []
    refusal = await refused(keep(world, practice.owner, practice, etag=before.etag))
    assert refusal.reason == "ETAG_MISMATCH"
    await keep(world, practice.owner, practice, open_on=["Christmas"])
    assert len(await slots(world, practice, **christmas)) == 16
    assert await slots(world, practice, from_date=date(2028, 1, 26), days=1) == []


async def test_holidays_that_strand_visits_are_refused_unless_allowed(
    world: World, clock: MovableClock
) -> None:
    practice, once = await world.practice(), uuid4()
    clock.set(datetime(2027, 12, 1, 6, tzinfo=UTC))
    start = practice.at(date(2027, 12, 25), 10)
    await world.book(await world.person(), practice, start)
    refusal = await refused(keep(world, practice.owner, practice, request_id=once))
    assert refusal.reason == "STRANDS_APPOINTMENTS"
    assert list(refusal.fields) == ["observed"]
    assert refusal.text.startswith("1 booked visit would be outside")
    allowed = {"request_id": once, "allow_stranded": True}
    first = await keep(world, practice.owner, practice, **allowed)
    assert await keep(world, practice.owner, practice, **allowed) == first


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"country_code": "XX"}, "country_code"),
        ({"country_code": "in"}, "country_code"),
        ({"subdivision": "QQ"}, "subdivision"),
        ({"open_on": ["x"] * 2}, "open_on"),
        ({"open_on": ["Christmas", "Christmas Day"]}, "open_on[1]"),
        ({"open_on": ["Easter Monday"]}, "open_on[0]"),
    ],
)
async def test_holidays_that_do_not_exist_are_named(
    world: World, fields: dict[str, Any], path: str
) -> None:
    practice = await world.practice()
    refusal = await refused(keep(world, practice.owner, practice, **fields))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(refusal.fields) == [path]


async def test_the_year_of_holidays_is_one_that_is_known(world: World) -> None:
    practice = await world.practice()
    asked = {"clinic_id": practice.clinic_id, "year": 1999}
    refusal = await refused(world.call("GetPublicHolidays", practice.owner, **asked))
    assert list(refusal.fields) == ["year"]
    far = await world.call("GetPublicHolidays", practice.owner, **(asked | {"year": 2060}))
    assert "Republic Day" in {each.name for each in far.public_holidays.holidays}


async def test_a_holiday_by_the_moon_is_switched_off_in_years_that_only_estimate_it(
    world: World,
) -> None:
    practice = await world.practice()
    for switched_off in ("Eid al-Fitr", "Eid al-Fitr (estimated)"):
        await keep(world, practice.owner, practice, open_on=[switched_off])
        asked = {"clinic_id": practice.clinic_id, "year": 2029}
        shown = await world.call("GetPublicHolidays", practice.owner, **asked)
        names = [each.name for each in shown.public_holidays.holidays if each.open]
        assert names == ["Eid al-Fitr (estimated)"]


def test_a_day_with_two_holidays_is_open_when_both_are_switched_off() -> None:
    assert not holidays.is_open("Ascension Day; Labor Day", ["Labor Day"])
    assert holidays.is_open("Ascension Day; Labor Day", ["Labor Day", "Ascension Day"])
    assert holidays.is_open("Ascension Day; Labor Day", ["Ascension Day; Labor Day"])
    assert not holidays.is_open("Labor Day", [])


async def test_extra_openings_add_to_the_day_and_are_read_back(world: World) -> None:
    practice = await world.practice(rules=())
    day = tomorrow(practice)
    when = date_pb2.Date(year=day.year, month=day.month, day=day.day)
    saved = await set_hours(
        world,
        practice.doctor,
        practice,
        rules=[rule(day.isoweekday(), 9, 10)],
        extra_openings=[pb.ExtraOpening(date=when, window=window(10, 11))],
    )
    assert saved.extra_openings[0].window == window(10, 11)
    found = await slots(world, practice, from_date=day, days=1)
    assert [start[3:] for start in found] == ["09:00", "09:30", "10:00", "10:30"]
    closed = {"overrides": [override(day)], "extra_openings": list(saved.extra_openings)}
    await set_hours(world, practice.doctor, practice, **closed)
    assert len(await slots(world, practice, from_date=day, days=1)) == 2
    late = pb.ExtraOpening(date=date_pb2.Date(year=2020, month=1, day=1), window=window(1, 2))
    refusal = await refused(set_hours(world, practice.doctor, practice, extra_openings=[late]))
    assert list(refusal.fields) == ["extra_openings[0].date"]


def test_casablanca_closes_for_a_day_that_loses_an_hour() -> None:
    """The clocks go back for Ramadan at three on 15 February 2026; the clinic is open all day."""
    zone, changed = ZoneInfo("Africa/Casablanca"), date(2026, 2, 15)
    hours = Hours(zone, tuple(Rule(weekday, Window(0, 0)) for weekday in range(1, 8)))
    terms = Terms(60, 0, 0, 60, 0, 0, 30)
    away = datetime(2026, 2, 16, 8, tzinfo=zone).astimezone(UTC)
    schedule = Schedule(
        hours,
        terms,
        (),
        changed - DAY,
        changed + DAY,
        closed=[(changed, changed)],
        away=[hours_span(away, 2)],
    )
    now = datetime(2026, 2, 10, tzinfo=UTC)
    local = [start.astimezone(zone) for start in offered(schedule, now)]
    assert {start.date() for start in local} == {changed - DAY, changed + DAY}
    assert [start.hour for start in local[:24]] == list(range(24))
    assert [start.hour for start in local[24:]] == [*range(8), *range(10, 24)]
    last = datetime(2026, 2, 15, 23, tzinfo=zone).astimezone(UTC)
    assert refusal(schedule, last, now) is Refusal.CLOSED
    assert refusal(schedule, away + HOUR, now) is Refusal.TIME_OFF


def hours_span(start: datetime, hours: int) -> Any:
    return start, start + hours * HOUR
