"""Holding a time, as patients call it."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest

from server.core.clock import MovableClock
from tests.counts import count
from tests.refusal import Refusal, refused
from tests.world import Person, PracticeOf, World, tomorrow

MINUTE = timedelta(minutes=1)
MANY = count(12, deep=50)


async def hold(world: World, patient: Person, at: PracticeOf, start: datetime, **more: Any) -> Any:
    fields = {"request_id": uuid4(), "practice_id": at.practice_id, "start_time": start} | more
    return (await world.call("HoldSlot", patient, **fields)).hold


async def offered(world: World, practice: PracticeOf, start: datetime, by: Person | None) -> bool:
    answer = await world.call(
        "GetSlots",
        by,
        doctor_id=practice.doctor.user_id,
        from_date=start.date(),
        days=1,
    )
    starts = {slot.start_time.seconds for day in answer.days for slot in day.slots}
    return int(start.timestamp()) in starts


async def test_a_held_time_is_offered_to_its_holder_alone(world: World) -> None:
    practice, patient = await world.practice(), await world.person()
    start = practice.at(tomorrow(practice), 10)
    held = await hold(world, patient, practice, start)
    assert held.start_time.seconds == int(start.timestamp())
    assert held.expire_time.seconds > world.db.clock.now().timestamp() + 590
    assert await offered(world, practice, start, patient)
    assert not await offered(world, practice, start, await world.person())
    assert not await offered(world, practice, start, None)


@pytest.mark.parametrize("rpc_name", ["BookAppointment", "HoldSlot"])
async def test_a_held_time_is_refused_to_others(world: World, rpc_name: str) -> None:
    practice = await world.practice()
    start = practice.at(tomorrow(practice), 10)
    await hold(world, await world.person(), practice, start)
    fields = {"request_id": uuid4(), "practice_id": practice.practice_id, "start_time": start}
    refusal = await refused(world.call(rpc_name, await world.person(), **fields))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "SLOT_TAKEN")


@pytest.mark.parametrize("named", [True, False])
async def test_the_holder_books_with_or_without_naming_the_hold(world: World, named: bool) -> None:
    practice, patient = await world.practice(), await world.person()
    start = practice.at(tomorrow(practice), 10)
    held = await hold(world, patient, practice, start)
    more = {"hold_id": held.hold_id} if named else {}
    visit = await world.book(patient, practice, start, **more)
    assert visit.start_time == held.start_time
    refusal = await refused(
        world.call("ReleaseHold", patient, request_id=uuid4(), hold_id=held.hold_id)
    )
    assert refusal.code is grpc.StatusCode.NOT_FOUND


async def test_a_named_hold_ends_although_another_time_is_booked(world: World) -> None:
    practice, patient = await world.practice(), await world.person()
    start = practice.at(tomorrow(practice), 10)
    held = await hold(world, patient, practice, start)
    await world.book(patient, practice, start + timedelta(hours=1), hold_id=held.hold_id)
    await world.book(await world.person(), practice, start)


async def test_an_expired_hold_is_taken_by_who_wants_the_time(
    world: World, clock: MovableClock
) -> None:
    practice, patient = await world.practice(), await world.person()
    start = practice.at(tomorrow(practice), 10)
    await hold(world, patient, practice, start)
    clock.advance(10 * MINUTE)
    other = await world.person()
    assert await offered(world, practice, start, other)
    await world.book(other, practice, start)


async def test_an_expired_hold_is_confirmed_while_the_time_is_free(
    world: World, clock: MovableClock
) -> None:
    practice, patient = await world.practice(), await world.person()
    start = practice.at(tomorrow(practice), 10)
    held = await hold(world, patient, practice, start)
    clock.advance(11 * MINUTE)
    await world.book(patient, practice, start, hold_id=held.hold_id)


async def test_an_expired_hold_whose_time_is_gone_is_refused(
    world: World, clock: MovableClock
) -> None:
    practice, patient = await world.practice(), await world.person()
    start = practice.at(tomorrow(practice), 10)
    held = await hold(world, patient, practice, start)
    clock.advance(11 * MINUTE)
    await world.book(await world.person(), practice, start)
    refusal = await refused(world.book(patient, practice, start, hold_id=held.hold_id))
    assert refusal.reason == "SLOT_TAKEN"


async def test_holding_a_time_again_replaces_the_hold(world: World) -> None:
    practice, patient = await world.practice(interval_minutes=10), await world.person()
    start = practice.at(tomorrow(practice), 10)
    for minute in (0, 10, 0, 20, 10):
        await hold(world, patient, practice, start + minute * MINUTE)
    await world.book(await world.person(), practice, start + 40 * MINUTE)


async def test_holding_a_time_again_does_not_keep_it_longer(
    world: World, clock: MovableClock
) -> None:
    practice, patient = await world.practice(), await world.person()
    start = practice.at(tomorrow(practice), 10)
    first = await hold(world, patient, practice, start)
    for _ in range(3):
        clock.advance(3 * MINUTE)
        assert (await hold(world, patient, practice, start)).expire_time == first.expire_time
    clock.advance(MINUTE)
    assert (await world.book(await world.person(), practice, start)).appointment_id


async def test_a_live_hold_keeps_its_promise_when_the_notice_begins(
    world: World, clock: MovableClock
) -> None:
    practice, patient = await world.practice(notice_minutes=120), await world.person()
    start = practice.at(tomorrow(practice), 10)
    clock.set(start - 121 * MINUTE)
    held = await hold(world, patient, practice, start)
    clock.advance(5 * MINUTE)
    other = await world.person()
    refusal = await refused(world.book(other, practice, start))
    assert refusal.metadata["rule"] == "NOTICE"
    assert await offered(world, practice, start, patient)
    assert not await offered(world, practice, start, other)
    await world.book(patient, practice, start, hold_id=held.hold_id)


async def test_holding_again_breaks_no_promise(world: World, clock: MovableClock) -> None:
    practice, holder = await world.practice(notice_minutes=60), await world.person()
    start = practice.at(tomorrow(practice), 10)
    clock.set(start - timedelta(minutes=62))
    held = await hold(world, holder, practice, start)
    clock.advance(timedelta(minutes=5))
    refusal = await refused(hold(world, holder, practice, start))
    assert (refusal.reason, refusal.metadata["rule"]) == ("NOT_BOOKABLE", "NOTICE")
    await world.book(holder, practice, start, hold_id=held.hold_id)


async def test_an_expired_hold_promises_nothing(world: World, clock: MovableClock) -> None:
    practice, patient = await world.practice(notice_minutes=120), await world.person()
    start = practice.at(tomorrow(practice), 10)
    clock.set(start - 121 * MINUTE)
    held = await hold(world, patient, practice, start)
    clock.advance(10 * MINUTE)
    refusal = await refused(world.book(patient, practice, start, hold_id=held.hold_id))
    assert refusal.metadata["rule"] == "NOTICE"


async def test_hours_that_were_edited_meanwhile_break_the_promise_of_a_hold(world: World) -> None:
    practice, patient = await world.practice(), await world.person()
    start = practice.at(tomorrow(practice), 10)
    held = await hold(world, patient, practice, start)
    await world.call(
        "SetAvailability",
        practice.doctor,
        request_id=uuid4(),
        practice_id=practice.practice_id,
        rules=[],
    )
    refusal = await refused(world.book(patient, practice, start, hold_id=held.hold_id))
    assert (refusal.reason, refusal.metadata["rule"]) == ("NOT_BOOKABLE", "OUTSIDE_HOURS")
    assert list(refusal.fields) == ["start_time"]


async def test_a_released_time_is_free(world: World) -> None:
    practice, patient = await world.practice(), await world.person()
    start = practice.at(tomorrow(practice), 10)
    held = await hold(world, patient, practice, start)
    fields = {"request_id": uuid4(), "hold_id": held.hold_id}
    first = await world.call("ReleaseHold", patient, **fields)
    assert await world.call("ReleaseHold", patient, **fields) == first
    await world.book(await world.person(), practice, start)


async def test_nobody_releases_or_ends_another_s_hold(world: World) -> None:
    practice, other = await world.practice(), await world.person()
    start = practice.at(tomorrow(practice), 10)
    held = await hold(world, await world.person(), practice, start)
    fields = {"request_id": uuid4(), "hold_id": held.hold_id}
    refusal = await refused(world.call("ReleaseHold", other, **fields))
    assert refusal.code is grpc.StatusCode.NOT_FOUND
    await world.book(other, practice, start + timedelta(hours=1), hold_id=held.hold_id)
    refusal = await refused(world.book(await world.person(), practice, start))
    assert refusal.reason == "SLOT_TAKEN"


async def test_a_fourth_hold_is_refused_until_one_ends(world: World, clock: MovableClock) -> None:
    practice, patient = await world.practice(), await world.person()
    start = practice.at(tomorrow(practice), 10)
    for hour in range(3):
        await hold(world, patient, practice, start + timedelta(hours=hour))
    refusal = await refused(hold(world, patient, practice, start + timedelta(hours=3)))
    assert refusal.code is grpc.StatusCode.FAILED_PRECONDITION
    assert refusal.reason == "TOO_MANY_HOLDS"
    clock.advance(10 * MINUTE)
    await hold(world, patient, practice, start + timedelta(hours=3))


async def test_a_time_that_is_not_offered_is_not_held(world: World) -> None:
    practice = await world.practice()
    refusal = await refused(
        hold(world, await world.person(), practice, practice.at(tomorrow(practice), 18))
    )
    assert (refusal.reason, refusal.metadata["rule"]) == ("NOT_BOOKABLE", "OUTSIDE_HOURS")


async def test_a_repeated_hold_answers_the_same(world: World) -> None:
    practice, patient = await world.practice(), await world.person()
    start, once = practice.at(tomorrow(practice), 10), uuid4()
    first = await hold(world, patient, practice, start, request_id=once)
    assert await hold(world, patient, practice, start, request_id=once) == first
    refusal = await refused(hold(world, patient, practice, start + 30 * MINUTE, request_id=once))
    assert refusal.reason == "REQUEST_ID_REUSED"


@pytest.mark.parametrize("rpc_name", ["HoldSlot", "ReleaseHold"])
async def test_holds_need_a_patient_and_proper_ids(world: World, rpc_name: str) -> None:
    assert (await refused(world.call(rpc_name))).code is grpc.StatusCode.UNAUTHENTICATED
    doctor = await world.person("doctor")
    assert (await refused(world.call(rpc_name, doctor))).code is grpc.StatusCode.PERMISSION_DENIED
    refusal = await refused(world.call(rpc_name, await world.person(), request_id="7"))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "request_id" in refusal.fields


async def test_of_many_holds_of_one_patient_at_most_three_live(live_world: World) -> None:
    patient = await live_world.person()
    practices = [await live_world.practice() for _ in range(4)]

    async def attempt(number: int) -> str:
        practice = practices[number % len(practices)]
        start = practice.at(tomorrow(practice), 9) + timedelta(minutes=30 * (number // 4))
        try:
            await hold(live_world, patient, practice, start)
        except grpc.aio.AioRpcError as error:
            return Refusal(error).reason
        return "HELD"

    outcomes = await asyncio.gather(*map(attempt, range(MANY)))
    assert outcomes.count("HELD") == 3
    assert set(outcomes) == {"HELD", "TOO_MANY_HOLDS"}


async def test_of_many_who_hold_or_book_one_time_one_wins(live_world: World) -> None:
    practice = await live_world.practice()
    start = practice.at(tomorrow(practice), 10)

    async def attempt(number: int, patient: Person) -> str:
        try:
            await (hold if number % 2 else World.book)(live_world, patient, practice, start)
        except grpc.aio.AioRpcError as error:
            return Refusal(error).reason
        return "WON"

    patients = [await live_world.person() for _ in range(MANY)]
    outcomes = await asyncio.gather(*(attempt(*each) for each in enumerate(patients)))
    assert outcomes.count("WON") == 1
    assert set(outcomes) == {"WON", "SLOT_TAKEN"}
