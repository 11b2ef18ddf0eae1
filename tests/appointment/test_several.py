"""Families, series and follow-ups."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.type import money_pb2

from carelane.availability.v1 import visit_type_pb2
from carelane.patient.v1 import dependant_pb2
from server.availability.hours import Rule, Window
from server.core import wire
from server.core.clock import MovableClock
from tests.counts import count
from tests.refusal import Refusal, refused
from tests.world import Person, PracticeOf, World, tomorrow

HALF_HOUR, DAY, WEEK = timedelta(minutes=30), timedelta(days=1), timedelta(weeks=1)


async def child(world: World, guardian: Person, name: str = "Kiran Rao") -> str:
    answer = await world.call(
        "AddDependant",
        guardian,
        request_id=uuid4(),
        full_name=name,
        relation=dependant_pb2.RELATION_CHILD,
    )
    return str(answer.dependant.patient_id)


def visit(practice: PracticeOf, start: datetime, **more: str) -> dict[str, Any]:
    time = {"practice_id": str(practice.practice_id), "start_time": wire.from_time(start)}
    return time | more


async def family(world: World, by: Person | None, visits: list[Any], **more: Any) -> list[Any]:
    fields = {"request_id": uuid4(), "visits": visits} | more
    return list((await world.call("BookFamily", by, **fields)).appointments)


async def series(world: World, by: Person | None, at: PracticeOf, **more: Any) -> list[Any]:
    usual: dict[str, Any] = {"request_id": uuid4(), "practice_id": at.practice_id}
    usual |= {"every_weeks": 1, "visit_count": 3, "start_time": at.at(tomorrow(at), 10)}
    return list((await world.call("BookSeries", by, **(usual | more))).appointments)


async def test_a_family_is_booked_together_in_the_order_asked(world: World) -> None:
    guardian, one, other = await world.person(), await world.practice(), await world.practice()
    kiran, start = await child(world, guardian), one.at(tomorrow(one), 10)
    visits = [
        visit(other, start + HALF_HOUR, patient_id=kiran),
        visit(one, start + HALF_HOUR),
        visit(one, start, patient_id=kiran),
    ]
    once = uuid4()
    booked = await family(world, guardian, visits, request_id=once)
    assert [each.practice_id for each in booked] == [each["practice_id"] for each in visits]
    assert [each.start_time for each in booked] == [each["start_time"] for each in visits]
    assert [each.patient.patient_id for each in booked] == [kiran, str(guardian.user_id), kiran]
    assert await family(world, guardian, visits, request_id=once) == booked
    refusal = await refused(family(world, guardian, visits[:1], request_id=once))
    assert refusal.reason == "REQUEST_ID_REUSED"


async def test_of_a_family_all_are_booked_or_none(world: World) -> None:
    guardian, practice = await world.person(), await world.practice()
    kiran, start = await child(world, guardian), practice.at(tomorrow(practice), 10)
    await world.book(await world.person(), practice, start + HALF_HOUR)
    visits = [visit(practice, start), visit(practice, start + HALF_HOUR, patient_id=kiran)]
    refusal = await refused(family(world, guardian, visits))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "SLOT_TAKEN")
    assert refusal.metadata["visit"] == "1"
    assert refusal.fields == {"visits[1].start_time": "is taken"}
    assert not (await world.call("ListAppointments", guardian)).appointments
    await world.book(await world.person(), practice, start)


async def test_a_family_holds_nobody_of_others_and_no_unknown_practice(world: World) -> None:
    guardian, practice = await world.person(), await world.practice()
    start = practice.at(tomorrow(practice), 10)
    stranger = await child(world, await world.person())
    for one in (
        visit(practice, start, patient_id=stranger),
        visit(practice, start) | {"practice_id": str(uuid4())},
    ):
        refusal = await refused(family(world, guardian, [visit(practice, start + HALF_HOUR), one]))
        assert refusal.code is grpc.StatusCode.NOT_FOUND
        assert list(refusal.fields) == ["visits[1]"]


async def test_a_refusal_of_a_family_names_the_field_of_the_visit(world: World) -> None:
    guardian, practice = await world.person(), await world.practice()
    start = practice.at(tomorrow(practice), 10)
    for bad, reason in ((start + HALF_HOUR / 3, "NOT_BOOKABLE"), (start, "PATIENT_BUSY")):
        visits = [visit(practice, start), visit(await world.practice(), bad)]
        refusal = await refused(family(world, guardian, visits))
        assert refusal.reason == reason
        assert list(refusal.fields) in (["visits[0].start_time"], ["visits[1].start_time"])
        assert not (await world.call("ListAppointments", guardian)).appointments


@pytest.mark.parametrize(
    ("visits", "field"),
    [([], "visits"), ([{"practice_id": "7"}], "visits[0].practice_id")],
)
async def test_an_invalid_family_is_refused(world: World, visits: Any, field: str) -> None:
    refusal = await refused(family(world, await world.person(), visits))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert field in refusal.fields


@pytest.mark.parametrize("rpc_name", ["BookFamily", "BookSeries"])
async def test_families_and_series_need_a_patient(world: World, rpc_name: str) -> None:
    assert (await refused(world.call(rpc_name))).code is grpc.StatusCode.UNAUTHENTICATED
    doctor = await world.person("doctor")
    assert (await refused(world.call(rpc_name, doctor))).code is grpc.StatusCode.PERMISSION_DENIED


async def test_a_series_is_at_the_same_local_time_when_clocks_change(
    world: World, clock: MovableClock
) -> None:
    practice, patient = await world.practice(zone="America/New_York"), await world.person()
    clock.set(datetime(2027, 3, 1, 12, tzinfo=UTC))
    start = datetime(2027, 3, 4, 10, tzinfo=practice.zone)
    booked = await series(world, patient, practice, start_time=start)
    starts = [each.start_time.ToDatetime(tzinfo=UTC) for each in booked]
    assert [start.hour for start in starts] == [15, 15, 14]
    assert {start.astimezone(practice.zone).hour for start in starts} == {10}
    assert len({each.series_id for each in booked}) == 1
    assert booked[0].series_id


async def test_a_series_is_at_no_other_time_where_the_clocks_jump_over_its_own(
    world: World, clock: MovableClock
) -> None:
    always = tuple(Rule(weekday, Window(0, 0)) for weekday in range(1, 8))
    practice = await world.practice(zone="America/New_York", rules=always)
    clock.set(datetime(2027, 2, 27, 12, tzinfo=UTC))
    start = datetime(2027, 3, 7, 2, 30, tzinfo=practice.zone)
    refusal = await refused(series(world, await world.person(), practice, start_time=start))
    assert (refusal.reason, refusal.metadata["rule"]) == ("NOT_BOOKABLE", "OFF_GRID")
    assert list(refusal.fields) == ["visits[1].start_time"]
    assert refusal.metadata["start_time"] == "2027-03-14T03:00:00-04:00"


async def test_of_a_series_all_are_booked_or_none(world: World) -> None:
    practice, patient = await world.practice(), await world.person()
    start = practice.at(tomorrow(practice), 10)
    await world.book(await world.person(), practice, start + 2 * WEEK)
    refusal = await refused(series(world, patient, practice))
    assert (refusal.reason, refusal.metadata["visit"]) == ("SLOT_TAKEN", "2")
    assert list(refusal.fields) == ["visits[2].start_time"]
    assert refusal.metadata["start_time"] == (start + 2 * WEEK).isoformat()
    refusal = await refused(series(world, patient, practice, visit_count=12))
    assert refusal.metadata["visit"] == "2"
    assert not (await world.call("ListAppointments", patient)).appointments
    once = uuid4()
    booked = await series(world, patient, practice, every_weeks=3, visit_count=2, request_id=once)
    again = await series(world, patient, practice, every_weeks=3, visit_count=2, request_id=once)
    assert booked == again


@pytest.mark.parametrize(
    ("field", "value"), [("every_weeks", 0), ("visit_count", 1), ("visit_count", 13)]
)
async def test_an_invalid_series_is_refused(world: World, field: str, value: int) -> None:
    practice, patient = await world.practice(), await world.person()
    refusal = await refused(series(world, patient, practice, **{field: value}))
    assert list(refusal.fields) == [field]


async def seen(world: World, patient: Person, practice: PracticeOf, clock: MovableClock) -> Any:
    """Book a visit of tomorrow and bring it to its end."""
    start = practice.at(tomorrow(practice, clock.now()), 10)
    booked = await world.book(patient, practice, start)
    clock.set(start + HALF_HOUR)
    done = {"request_id": uuid4(), "appointment_id": booked.appointment_id}
    return (await world.call("CompleteAppointment", practice.doctor, **done)).appointment


async def test_the_first_follow_up_within_a_week_is_free(world: World, clock: MovableClock) -> None:
    practice, patient = await world.practice(), await world.person()
    first = await seen(world, patient, practice, clock)
    start = practice.at(tomorrow(practice, clock.now()), 10)
    more = {"follows_appointment_id": first.appointment_id}
    follow_up = await world.book(patient, practice, start + 6 * DAY, **more)
    assert follow_up.follows_appointment_id == first.appointment_id
    assert (follow_up.price.units, follow_up.transaction.amount.units) == (0, 0)
    second = await world.book(patient, practice, start + 5 * DAY, **more)
    assert second.price.units == 500


async def test_a_visit_that_its_patient_can_still_cancel_has_no_follow_up(
    world: World, clock: MovableClock
) -> None:
    practice, patient = await world.practice(), await world.person()
    start = practice.at(tomorrow(practice, clock.now()), 10)
    first = await world.book(patient, practice, start)
    more = {"follows_appointment_id": first.appointment_id}
    change = {"request_id": uuid4(), "appointment_id": first.appointment_id}
    clock.set(start - HALF_HOUR)
    await world.call("CheckIn", practice.owner, **change)
    refusal = await refused(world.book(patient, practice, start + DAY, **more))
    assert list(refusal.fields) == ["follows_appointment_id"]
    await world.call("StartConsultation", practice.owner, **change)
    assert (await world.book(patient, practice, start + DAY, **more)).price.units == 0


async def test_a_follow_up_after_a_week_has_its_price(world: World, clock: MovableClock) -> None:
    practice, patient = await world.practice(), await world.person()
    first = await seen(world, patient, practice, clock)
    start = practice.at(tomorrow(practice, clock.now()), 10) + 7 * DAY
    late = await world.book(patient, practice, start, follows_appointment_id=first.appointment_id)
    assert (late.price.units, late.follows_appointment_id) == (500, first.appointment_id)


async def test_a_patient_moves_no_free_follow_up_out_of_its_week_but_the_clinic_may(
    world: World, clock: MovableClock
) -> None:
    practice, patient = await world.practice(), await world.person()
    first = await seen(world, patient, practice, clock)
    start = practice.at(tomorrow(practice, clock.now()), 10)
    more = {"follows_appointment_id": first.appointment_id}
    free = await world.book(patient, practice, start + 5 * DAY, **more)
    usual = await world.book(patient, practice, start + 4 * DAY, **more)

    async def move(person: Person, visit: Any, to: datetime) -> None:
        which = {"request_id": uuid4(), "appointment_id": visit.appointment_id}
        await world.call("RescheduleAppointment", person, **which, start_time=to)

    refusal = await refused(move(patient, free, start + 7 * DAY))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "TOO_LATE")
    await move(patient, free, start + 6 * DAY)
    await move(practice.doctor, free, start + 8 * DAY)
    await move(patient, free, start + 9 * DAY)
    await move(patient, usual, start + 7 * DAY)


async def set_follow_up(world: World, practice: PracticeOf, **terms: Any) -> Any:
    rules = visit_type_pb2.BookingRules(
        name="Consultation",
        length_minutes=30,
        horizon_days=60,
        price=money_pb2.Money(currency_code="INR", units=500),
        is_default=True,
        follow_up=visit_type_pb2.FollowUpTerms(**terms),
    )
    kept = {"visit_type_id": practice.visit_type_id, "request_id": uuid4()}
    answer = await world.call("UpdateVisitType", practice.doctor, rules=rules, **kept)
    return answer.visit_type.rules.follow_up


async def test_the_practice_sets_days_and_price_of_follow_ups(
    world: World, clock: MovableClock
) -> None:
    practice, patient = await world.practice(), await world.person()
    half = money_pb2.Money(currency_code="INR", units=250)
    terms = await set_follow_up(world, practice, days=10, price=half)
    assert (terms.days, terms.price) == (10, half)
    start = practice.at(tomorrow(practice, clock.now()), 10)
    for days, price in ((10, 250), (11, 500)):
        first = await seen(world, patient, practice, clock)
        start = practice.at(tomorrow(practice, clock.now()), 10) + (days - 1) * DAY
        more = {"follows_appointment_id": first.appointment_id}
        assert (await world.book(patient, practice, start, **more)).price.units == price
    await set_follow_up(world, practice, days=0)
    first = await seen(world, patient, practice, clock)
    start = practice.at(tomorrow(practice, clock.now()) - DAY, 16)  # on the same day
    more = {"follows_appointment_id": first.appointment_id}
    assert (await world.book(patient, practice, start, **more)).price.units == 500


async def test_a_follow_up_has_a_price_in_the_currency_of_the_visit(world: World) -> None:
    practice = await world.practice()
    dollars = money_pb2.Money(currency_code="USD", units=2)
    refusal = await refused(set_follow_up(world, practice, days=7, price=dollars))
    assert list(refusal.fields) == ["rules.follow_up.price"]
    refusal = await refused(set_follow_up(world, practice, days=-1))
    assert list(refusal.fields) == ["rules.follow_up.days"]


@pytest.mark.parametrize(("units", "nanos"), [(-1, 0), (0, -10_000_000), (1, 1_000_000)])
async def test_a_follow_up_has_a_price_that_can_be_paid(
    world: World, units: int, nanos: int
) -> None:
    price = money_pb2.Money(currency_code="INR", units=units, nanos=nanos)
    refusal = await refused(set_follow_up(world, await world.practice(), days=7, price=price))
    assert (refusal.code, list(refusal.fields)) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        ["rules.follow_up.price"],
    )


async def test_a_follow_up_of_a_follow_up_is_not_free(world: World, clock: MovableClock) -> None:
    practice, patient = await world.practice(), await world.person()
    first = await seen(world, patient, practice, clock)
    start = practice.at(tomorrow(practice, clock.now()), 10)
    free = await world.book(patient, practice, start, follows_appointment_id=first.appointment_id)
    clock.set(start + HALF_HOUR)
    done = {"request_id": uuid4(), "appointment_id": free.appointment_id}
    await world.call("CompleteAppointment", practice.doctor, **done)
    third = await world.book(
        patient, practice, start + DAY, follows_appointment_id=free.appointment_id
    )
    assert third.price.units == 500


async def test_only_a_visit_that_took_place_there_is_followed_up(
    world: World, clock: MovableClock
) -> None:
    practice, other, patient = await world.practice(), await world.practice(), await world.person()
    first = await seen(world, patient, practice, clock)
    start = practice.at(tomorrow(practice, clock.now()), 10)
    coming = await world.book(patient, practice, start)
    for at, follows in ((other, first.appointment_id), (practice, coming.appointment_id)):
        refusal = await refused(
            world.book(patient, at, start + DAY, follows_appointment_id=follows)
        )
        assert list(refusal.fields) == ["follows_appointment_id"]
    stranger = await world.person()
    refusal = await refused(
        world.book(stranger, practice, start + DAY, follows_appointment_id=first.appointment_id)
    )
    assert refusal.code is grpc.StatusCode.NOT_FOUND


async def test_families_that_race_single_bookings_take_all_or_nothing(live_world: World) -> None:
    one, other = await live_world.practice(), await live_world.practice()
    start = one.at(tomorrow(one), 9)
    guardians = [await live_world.person() for _ in range(count(4, deep=20))]
    children = [await child(live_world, guardian) for guardian in guardians]
    singles = [await live_world.person() for _ in range(count(8, deep=40))]

    async def attempt(call: Any) -> str:
        try:
            await call
        except grpc.aio.AioRpcError as error:
            return Refusal(error).reason
        return "BOOKED"

    calls = [
        attempt(
            family(
                live_world,
                guardian,
                [visit(one, start), visit(other, start, patient_id=kiran)][:: 1 - 2 * (n % 2)],
            )
        )
        for n, (guardian, kiran) in enumerate(zip(guardians, children, strict=True))
    ]
    calls += [
        attempt(live_world.book(single, (one, other)[n % 2], start))
        for n, single in enumerate(singles)
    ]
    outcomes = await asyncio.gather(*calls)
    assert set(outcomes) == {"BOOKED", "SLOT_TAKEN"}
    families, alone = outcomes[: len(guardians)], outcomes[len(guardians) :]
    taken = 2 * families.count("BOOKED") + alone.count("BOOKED")
    assert (taken, families.count("BOOKED")) in {(2, 0), (2, 1)}
    for guardian, outcome in zip(guardians, families, strict=True):
        listed = await live_world.call("ListAppointments", guardian)
        assert len(listed.appointments) == (2 if outcome == "BOOKED" else 0)
