"""The kinds of visit of a practice: who edits them, and how each rule shows in what is offered."""

from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.type import money_pb2

from carelane.availability.v1 import explanation_pb2
from carelane.availability.v1 import visit_type_pb2 as pb
from server.availability.hours import Rule, Window
from server.core.clock import MovableClock
from tests.refusal import refused
from tests.world import Person, PracticeOf, World, tomorrow

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
INR_300 = money_pb2.Money(currency_code="INR", units=300)


def rules(**changed: Any) -> pb.BookingRules:
    """Write the rules of a visit of 20 minutes, with what is changed."""
    usual = {"name": "Follow-up", "length_minutes": 20, "horizon_days": 30, "price": INR_300}
    return pb.BookingRules(**(usual | changed))


async def create(world: World, person: Person | None, practice: PracticeOf, **fields: Any) -> Any:
    usual = {"request_id": uuid4(), "practice_id": practice.practice_id, "rules": rules()}
    return (await world.call("CreateVisitType", person, **(usual | fields))).visit_type


async def starts(world: World, practice: PracticeOf, made: Any, **fields: Any) -> list[str]:
    """Answer the local starts of a visit type."""
    answer = await world.call(
        "GetSlots",
        doctor_id=practice.doctor.user_id,
        visit_type_id=made.visit_type_id,
        **fields,
    )
    return [
        slot.start_time.ToDatetime(tzinfo=practice.zone).strftime("%d %H:%M")
        for day in answer.days
        for slot in day.slots
    ]


async def test_a_new_visit_type_is_listed_and_offered(world: World) -> None:
    practice = await world.practice()
    made = await create(world, practice.doctor, practice)
    listed = await world.call("ListVisitTypes", practice.doctor, practice_id=practice.practice_id)
    assert [each.rules.name for each in listed.visit_types] == ["Consultation", "Follow-up"]
    assert listed.visit_types[1] == made
    assert made.rules.interval_minutes == 20
    found = await starts(world, practice, made, from_date=tomorrow(practice), days=1)
    assert [start[3:] for start in found[:3]] == ["09:00", "09:20", "09:40"]


async def test_visit_types_come_in_pages(world: World) -> None:
    practice = await world.practice()
    for name in ("Alpha", "Beta"):
        await create(world, practice.doctor, practice, rules=rules(name=name))
    asked = {"practice_id": practice.practice_id, "page_size": 2}
    first = await world.call("ListVisitTypes", practice.owner, **asked)
    token = first.next_page_token
    second = await world.call("ListVisitTypes", practice.owner, **asked, page_token=token)
    names = [each.rules.name for page in (first, second) for each in page.visit_types]
    assert (names, second.next_page_token) == (["Alpha", "Beta", "Consultation"], "")


async def test_an_edit_replaces_the_rules_and_raises_the_etag(world: World) -> None:
    practice = await world.practice()
    made = await create(world, practice.owner, practice)
    changed = {"request_id": uuid4(), "visit_type_id": made.visit_type_id, "etag": made.etag}
    changed["rules"] = rules(name="Long talk", length_minutes=60, capacity=3)
    saved = (await world.call("UpdateVisitType", practice.doctor, **changed)).visit_type
    assert (saved.rules.name, saved.rules.interval_minutes) == ("Long talk", 60)
    assert saved.etag != made.etag
    repeated = await world.call("UpdateVisitType", practice.doctor, **changed)
    assert repeated.visit_type == saved
    refusal = await refused(
        world.call("UpdateVisitType", practice.doctor, **(changed | {"request_id": uuid4()}))
    )
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")


async def test_a_visit_of_what_is_retired_can_be_moved_by_both_sides(world: World) -> None:
    practice, patient = await world.practice(), await world.person()
    made = await create(world, practice.doctor, practice)
    start, kind = practice.at(tomorrow(practice), 10), {"visit_type_id": made.visit_type_id}
    visit = await world.book(patient, practice, start, **kind)
    made.rules.retired = True
    edit = {"visit_type_id": made.visit_type_id, "rules": made.rules, "request_id": uuid4()}
    await world.call("UpdateVisitType", practice.doctor, **edit)
    refusal = await refused(world.book(await world.person(), practice, start + HOUR, **kind))
    assert refusal.code is grpc.StatusCode.NOT_FOUND
    for by, to in ((patient, start + HOUR), (practice.owner, start)):
        fields = {"appointment_id": visit.appointment_id, "start_time": to, "request_id": uuid4()}
        moved = (await world.call("RescheduleAppointment", by, **fields)).appointment
        assert moved.start_time.seconds == int(to.timestamp())


async def test_a_practice_has_one_default_and_what_is_retired_is_not_offered(world: World) -> None:
    practice = await world.practice()
    made = await create(world, practice.doctor, practice, rules=rules(is_default=True))
    listed = await world.call("ListVisitTypes", practice.doctor, practice_id=practice.practice_id)
    assert [each.rules.is_default for each in listed.visit_types] == [False, True]
    old = listed.visit_types[0]
    old.rules.retired = True
    edit = {"visit_type_id": old.visit_type_id, "rules": old.rules, "request_id": uuid4()}
    await world.call("UpdateVisitType", practice.doctor, **edit)
    refusal = await refused(starts(world, practice, old))
    assert refusal.code is grpc.StatusCode.NOT_FOUND
    doctor = await world.call("GetDoctor", doctor_id=practice.doctor.user_id)
    shown = doctor.doctor.practices[0].visit_types
    assert [each.visit_type_id for each in shown] == [made.visit_type_id]


async def test_to_others_the_visit_types_do_not_exist(world: World) -> None:
    practice, other = await world.practice(), await world.practice()
    made = await create(world, practice.doctor, practice)
    edit = {"visit_type_id": made.visit_type_id, "rules": rules()}
    for stranger in (await world.person(), other.doctor, other.owner):
        calls = (
            create(world, stranger, practice),
            world.call("UpdateVisitType", stranger, request_id=uuid4(), **edit),
            world.call("ListVisitTypes", stranger, practice_id=practice.practice_id),
        )
        for call in calls:
            assert (await refused(call)).code is grpc.StatusCode.NOT_FOUND


async def test_the_front_desk_reads_visit_types_and_leaves_them(world: World) -> None:
    practice = await world.practice()
    desk = await world.front_desk(practice)
    listed = await world.call("ListVisitTypes", desk, practice_id=practice.practice_id)
    assert len(listed.visit_types) == 1
    assert (await refused(create(world, desk, practice))).code is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("rpc_name", ["CreateVisitType", "UpdateVisitType", "ListVisitTypes"])
async def test_visit_types_need_a_token(world: World, rpc_name: str) -> None:
    assert (await refused(world.call(rpc_name))).code is grpc.StatusCode.UNAUTHENTICATED


async def test_a_repeated_creation_makes_one(world: World) -> None:
    practice, once = await world.practice(), uuid4()
    first = await create(world, practice.doctor, practice, request_id=once)
    assert await create(world, practice.doctor, practice, request_id=once) == first
    refusal = await refused(
        create(world, practice.doctor, practice, request_id=once, rules=rules(name="Other"))
    )
    assert refusal.reason == "REQUEST_ID_REUSED"
    listed = await world.call("ListVisitTypes", practice.doctor, practice_id=practice.practice_id)
    assert len(listed.visit_types) == 2


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        ({"length_minutes": 0}, "rules.length_minutes"),
        ({"length_minutes": -5}, "rules.length_minutes"),
        ({"length_minutes": 1441}, "rules.length_minutes"),
        ({"name": "  x "}, "rules.name"),
        ({"buffer_after_minutes": -1}, "rules.buffer_after_minutes"),
        ({"horizon_days": 367}, "rules.horizon_days"),
        ({"capacity": 1001}, "rules.capacity"),
        ({"limits": pb.BookingLimits(day_visits=-1)}, "rules.limits.day_visits"),
        ({"price": money_pb2.Money(currency_code="USD", units=5)}, "rules.price.currency_code"),
        ({"price": money_pb2.Money(currency_code="INR", units=-5)}, "rules.price"),
        ({"is_default": True, "retired": True}, "rules"),
        ({"grid": pb.START_GRID_OPENING, "offset_minutes": 10}, "rules.offset_minutes"),
    ],
)
async def test_an_invalid_rule_is_named(world: World, changed: dict[str, Any], path: str) -> None:
    practice = await world.practice()
    refusal = await refused(create(world, practice.doctor, practice, rules=rules(**changed)))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(refusal.fields) == [path]


async def test_starts_can_be_counted_from_the_opening(world: World) -> None:
    half_past = tuple(Rule(weekday, Window(7 * 60 + 30, 9 * 60 + 30)) for weekday in range(1, 8))
    practice = await world.practice(rules=half_past)
    day = tomorrow(practice)
    found = {}
    for grid in (pb.START_GRID_CLOCK, pb.START_GRID_OPENING):
        asked = rules(length_minutes=60, grid=grid, name=f"Grid {grid}")
        made = await create(world, practice.doctor, practice, rules=asked)
        found[grid] = await starts(world, practice, made, from_date=day, days=1)
    assert found[pb.START_GRID_CLOCK] == [f"{day.day:02} 08:00"]
    assert found[pb.START_GRID_OPENING] == [f"{day.day:02} 07:30", f"{day.day:02} 08:30"]


async def test_the_horizon_counts_business_days(world: World, clock: MovableClock) -> None:
    practice = await world.practice()
    friday = tomorrow(practice) + (4 - tomorrow(practice).weekday()) % 7 * DAY
    clock.set(practice.at(friday, 12))
    asked = rules(horizon_days=1, horizon_unit=pb.HORIZON_UNIT_BUSINESS_DAYS)
    made = await create(world, practice.doctor, practice, rules=asked)
    found = await starts(world, practice, made)
    days = [f"{friday + n * DAY:%d}" for n in range(4)]
    assert list(dict.fromkeys(start[:2] for start in found)) == days


async def test_a_business_day_is_one_on_which_the_clinic_is_open(
    world: World, clock: MovableClock
) -> None:
    """Closed on Thursday, and Christmas is a Friday: two business days after Wednesday."""
    practice = await world.practice()
    clock.set(practice.at(date(2026, 12, 23), 12))
    asked = rules(horizon_days=2, horizon_unit=pb.HORIZON_UNIT_BUSINESS_DAYS)
    made = await create(world, practice.doctor, practice, rules=asked)
    at = {"clinic_id": practice.clinic_id}
    await world.call("SetPublicHolidays", practice.owner, request_id=uuid4(), observed=True, **at)
    thursday = {"first_date": date(2026, 12, 24), "last_date": date(2026, 12, 24)}
    await world.call("AddClosure", practice.owner, request_id=uuid4(), **at, **thursday)
    found = await starts(world, practice, made, from_date=date(2026, 12, 23), days=31)
    assert list(dict.fromkeys(start[:2] for start in found)) == ["23", "26", "27", "28", "29"]
    far = await starts(world, practice, made, from_date=date(2026, 12, 28), days=31)
    assert list(dict.fromkeys(start[:2] for start in far)) == ["28", "29"]
    asked = {"practice_id": practice.practice_id, "visit_type_id": made.visit_type_id}
    for day, rule in ((29, 0), (30, explanation_pb2.BOOKING_RULE_HORIZON)):
        start = practice.at(date(2026, 12, day), 9)
        explained = await world.call("ExplainTime", start_time=start, **asked)
        assert explained.explanation.rule == rule
