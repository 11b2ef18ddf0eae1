"""What an edit would do, before it is saved; and that it is not saved when it strands visits."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest

from carelane.availability.v1 import availability_service_pb2 as pb
from carelane.availability.v1 import visit_type_pb2
from server.core import wire
from server.core.clock import MovableClock
from tests.availability.test_availability import override, rule, set_hours, slots
from tests.availability.test_visit_types import create, rules
from tests.refusal import refused
from tests.world import Person, PracticeOf, World, tomorrow

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
SHORTER = pb.HoursChange(rules=[rule(weekday, 10, 17) for weekday in range(1, 8)])


async def preview(world: World, person: Person | None, practice: PracticeOf, **fields: Any) -> Any:
    at = {"practice_id": practice.practice_id}
    return await world.call("PreviewScheduleChange", person, **at, **fields)


def local(practice: PracticeOf, found: Any) -> list[str]:
    """Answer the local starts of slots."""
    starts = [each.start_time.ToDatetime(tzinfo=practice.zone) for each in found]
    return [f"{start:%d %H:%M}" for start in starts]


def times(start: datetime, end: datetime, **more: Any) -> pb.TimeOffChange:
    return pb.TimeOffChange(start_time=wire.from_time(start), end_time=wire.from_time(end), **more)


def days(first: date, last: date) -> pb.ClosureChange:
    return pb.ClosureChange(first_date=wire.from_date(first), last_date=wire.from_date(last))


async def test_a_preview_names_the_visits_that_would_be_stranded_and_saves_nothing(
    world: World,
) -> None:
    practice = await world.practice()
    day, at = tomorrow(practice), {"practice_id": practice.practice_id}
    visits = [
        await world.book(await world.person(), practice, practice.at(day, hour)) for hour in (9, 11)
    ]
    before = await world.call("GetAvailability", practice.doctor, **at)
    for person in (practice.doctor, practice.owner, await world.front_desk(practice)):
        found = await preview(world, person, practice, hours=SHORTER)
        stranded = [each.appointment_id for each in found.stranded_visits]
        assert (stranded, found.stranded_count) == ([visits[0].appointment_id], 1)
    assert await world.call("GetAvailability", practice.doctor, **at) == before
    closed = pb.HoursChange(rules=before.availability.rules, overrides=[override(day)])
    assert (await preview(world, practice.doctor, practice, hours=closed)).stranded_count == 2


async def test_a_preview_shows_which_times_appear_and_vanish(world: World) -> None:
    practice = await world.practice()
    day = tomorrow(practice)
    later = pb.HoursChange(rules=[rule(day.isoweekday(), 10, 18)])
    found = await preview(world, practice.doctor, practice, hours=later, from_date=day, days=1)
    assert local(practice, found.added_slots) == [f"{day:%d} 17:00", f"{day:%d} 17:30"]
    assert local(practice, found.removed_slots) == [f"{day:%d} 09:00", f"{day:%d} 09:30"]
    assert (found.added_count, found.removed_count) == (2, 2)
    assert len(await slots(world, practice, from_date=day, days=1)) == 16


async def test_time_off_is_previewed_at_one_practice_or_at_all(world: World) -> None:
    here = await world.practice()
    there = await world.practice(doctor=here.doctor)
    day = tomorrow(here)
    await world.book(await world.person(), there, there.at(day, 10))
    span = (here.at(day, 10), here.at(day, 12))
    asked = {"from_date": day, "days": 1}
    found = await preview(world, here.owner, here, time_off=times(*span), **asked)
    assert (found.stranded_count, found.removed_count) == (0, 3)
    everywhere = times(*span, everywhere=True)
    found = await preview(world, here.doctor, here, time_off=everywhere, **asked)
    assert (found.stranded_count, found.removed_count) == (1, 3)
    refusal = await refused(preview(world, here.owner, here, time_off=everywhere))
    assert refusal.code is grpc.StatusCode.NOT_FOUND
    assert not (await world.call("ListTimeOff", here.doctor)).time_off


async def test_a_closure_is_previewed_for_all_doctors_of_the_clinic(world: World) -> None:
    practice = await world.practice()
    colleague = await world.practice(at=practice)
    day = tomorrow(practice)
    await world.book(await world.person(), colleague, colleague.at(day, 10))
    found = await preview(
        world, practice.owner, practice, closure=days(day, day + DAY), from_date=day, days=3
    )
    assert (found.stranded_count, found.removed_count, found.added_count) == (1, 32, 0)
    refusal = await refused(preview(world, practice.doctor, practice, closure=days(day, day)))
    assert refusal.code is grpc.StatusCode.NOT_FOUND
    listed = await world.call("ListClosures", practice.owner, clinic_id=practice.clinic_id)
    assert not listed.closures


async def test_public_holidays_are_previewed(world: World, clock: MovableClock) -> None:
    practice = await world.practice()
    clock.set(datetime(2027, 12, 1, 6, tzinfo=UTC))
    await world.book(await world.person(), practice, practice.at(date(2027, 12, 25), 10))
    kept = {"public_holidays": pb.PublicHolidaysChange(observed=True)}
    asked = {"from_date": date(2027, 12, 24), "days": 3}
    found = await preview(world, practice.owner, practice, **kept, **asked)
    assert (found.stranded_count, found.removed_count) == (1, 15)
    shown = await world.call("GetPublicHolidays", practice.owner, clinic_id=practice.clinic_id)
    assert not shown.public_holidays.observed


async def test_a_visit_type_is_previewed_with_all_that_it_changes(world: World) -> None:
    practice = await world.practice()
    day = tomorrow(practice)
    await world.book(await world.person(), practice, practice.at(day, 16, 30))
    limits = visit_type_pb2.BookingLimits(day_visits=1)
    for changed, stranded, removed in (
        ({"length_minutes": 30, "buffer_after_minutes": 30}, 1, 1),
        ({"length_minutes": 30, "limits": limits}, 0, 15),
        ({"length_minutes": 30, "retired": True}, 0, 15),
    ):
        change = pb.VisitTypeChange(
            visit_type_id=str(practice.visit_type_id), rules=rules(**changed)
        )
        asked = {"visit_type": change, "from_date": day, "days": 1}
        found = await preview(world, practice.doctor, practice, **asked)
        assert (found.stranded_count, found.removed_count) == (stranded, removed)
    assert len(await slots(world, practice, from_date=day, days=1)) == 15


async def test_a_retired_visit_type_is_previewed_as_it_would_come_back(world: World) -> None:
    practice = await world.practice()
    made = await create(world, practice.doctor, practice, rules=rules(retired=True))
    back = pb.VisitTypeChange(visit_type_id=made.visit_type_id, rules=rules())
    asked = {"from_date": tomorrow(practice), "days": 1}
    found = await preview(world, practice.doctor, practice, visit_type=back, **asked)
    assert (found.stranded_count, found.removed_count, found.added_count) == (0, 0, 24)
    assert len(found.added_slots) == 24


async def test_visits_of_a_retired_visit_type_are_stranded_like_any_other(world: World) -> None:
    practice = await world.practice()
    await world.book(await world.person(), practice, practice.at(tomorrow(practice), 16, 30))
    edit = {"visit_type_id": practice.visit_type_id}
    retired = rules(length_minutes=30, retired=True)
    await world.call("UpdateVisitType", practice.doctor, request_id=uuid4(), **edit, rules=retired)
    longer = {**edit, "rules": rules(length_minutes=45)}
    refusal = await refused(
        world.call("UpdateVisitType", practice.doctor, request_id=uuid4(), **longer)
    )
    assert refusal.reason == "STRANDS_APPOINTMENTS"
    assert list(refusal.fields) == ["rules.length_minutes"]


async def test_a_visit_type_that_visits_do_not_fit_is_refused_unless_allowed(world: World) -> None:
    practice = await world.practice(capacity=2)
    start = practice.at(tomorrow(practice), 16, 30)
    for _ in range(2):
        await world.book(await world.person(), practice, start)
    edit = {"visit_type_id": practice.visit_type_id}
    usual = {"length_minutes": 30, "is_default": True, "capacity": 2}
    for changed, field in (
        ({"buffer_after_minutes": 5}, "rules.buffer_after_minutes"),
        ({"length_minutes": 45}, "rules.length_minutes"),
        ({"capacity": 1}, "rules.capacity"),
    ):
        asked = {**edit, "rules": rules(**(usual | changed))}
        refusal = await refused(
            world.call("UpdateVisitType", practice.doctor, request_id=uuid4(), **asked)
        )
        assert (refusal.code, refusal.reason) == (
            grpc.StatusCode.FAILED_PRECONDITION,
            "STRANDS_APPOINTMENTS",
        )
        assert (list(refusal.fields), refusal.metadata["count"]) == ([field], "2")
    listed = await world.call("ListVisitTypes", practice.doctor, practice_id=practice.practice_id)
    assert listed.visit_types[0].rules.capacity == 2
    asked["allow_stranded"] = True
    await world.call("UpdateVisitType", practice.doctor, request_id=uuid4(), **asked)
    again = {**edit, "rules": rules(**(usual | {"capacity": 1, "name": "Talk"}))}
    await world.call("UpdateVisitType", practice.doctor, request_id=uuid4(), **again)


async def test_the_override_that_strands_a_visit_is_named(world: World) -> None:
    practice = await world.practice()
    day = tomorrow(practice)
    await world.book(await world.person(), practice, practice.at(day, 10))
    kept = [rule(weekday, 9, 17) for weekday in range(1, 8)]
    for fields, field in (
        ({"rules": kept, "overrides": [override(day + DAY), override(day)]}, "overrides[1]"),
        ({"rules": [], "overrides": [override(day + DAY)]}, "rules"),
    ):
        refusal = await refused(set_hours(world, practice.doctor, practice, **fields))
        assert (refusal.reason, list(refusal.fields)) == ("STRANDS_APPOINTMENTS", [field])


async def test_to_others_there_is_nothing_to_preview(world: World) -> None:
    practice, other = await world.practice(), await world.practice()
    for stranger in (await world.person(), other.doctor, other.owner):
        refusal = await refused(preview(world, stranger, practice, hours=SHORTER))
        assert refusal.code is grpc.StatusCode.NOT_FOUND
    refusal = await refused(preview(world, None, practice, hours=SHORTER))
    assert refusal.code is grpc.StatusCode.UNAUTHENTICATED
    of_another = pb.VisitTypeChange(visit_type_id=str(other.visit_type_id), rules=rules())
    refusal = await refused(preview(world, practice.doctor, practice, visit_type=of_another))
    assert refusal.code is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({}, "change"),
        ({"hours": pb.HoursChange(rules=[rule(0, 9, 10)])}, "hours.rules[0].day_of_week"),
        ({"hours": pb.HoursChange(overrides=[override(date(2020, 1, 1))])},
         "hours.overrides[0].date"),
        ({"closure": days(date(2031, 1, 2), date(2031, 1, 1))}, "closure.last_date"),
        ({"time_off": times(datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 2, tzinfo=UTC))},
         "time_off.end_time"),
        ({"public_holidays": pb.PublicHolidaysChange(country_code="XX")},
         "public_holidays.country_code"),
        ({"hours": SHORTER, "days": 32}, "days"),
    ],
)  # fmt: skip
async def test_an_invalid_preview_names_the_field(
    world: World, fields: dict[str, Any], path: str
) -> None:
    practice = await world.practice()
    refusal = await refused(preview(world, practice.owner, practice, **fields))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(refusal.fields) == [path]
