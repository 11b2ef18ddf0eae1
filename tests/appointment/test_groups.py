"""Visits to which several patients come at one start."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest
from sqlalchemy import Boolean, column, func, select, table

from server.appointment import booking
from server.availability import service as availability
from server.core.clock import MovableClock
from server.core.db import sql
from tests.counts import count
from tests.refusal import Refusal, refused
from tests.world import Person, PracticeOf, World, tomorrow

HALF_HOUR = timedelta(minutes=30)
_LOCKS = table("pg_locks", column("granted", Boolean))
WAITING = sql(select(func.count().label("n")).select_from(_LOCKS).where(~_LOCKS.c.granted))


@pytest.fixture
async def camp(world: World) -> PracticeOf:
    """A practice whose visits take three patients at a start."""
    return await world.practice(capacity=3, interval_minutes=10)


async def offered(world: World, practice: PracticeOf, start: datetime) -> bool:
    answer = await world.call(
        "GetSlots", doctor_id=practice.doctor.user_id, from_date=start.date(), days=2
    )
    starts = {slot.start_time.seconds for day in answer.days for slot in day.slots}
    return int(start.timestamp()) in starts


async def change(world: World, rpc_name: str, by: Person, visit: Any, **fields: Any) -> Any:
    fields = {"request_id": uuid4(), "appointment_id": visit.appointment_id} | fields
    return (await world.call(rpc_name, by, **fields)).appointment


async def test_a_start_is_offered_and_booked_until_it_is_full(
    world: World, camp: PracticeOf
) -> None:
    start = camp.at(tomorrow(camp), 10)
    for _ in range(3):
        assert await offered(world, camp, start)
        await world.book(await world.person(), camp, start)
    assert not await offered(world, camp, start)
    refusal = await refused(world.book(await world.person(), camp, start))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "SLOT_TAKEN")


async def test_a_start_that_overlaps_the_group_is_refused(world: World, camp: PracticeOf) -> None:
    start = camp.at(tomorrow(camp), 10)
    await world.book(await world.person(), camp, start)
    refusal = await refused(world.book(await world.person(), camp, start + HALF_HOUR / 3))
    assert refusal.reason == "SLOT_TAKEN"


async def test_nobody_has_two_seats_of_one_start(world: World, camp: PracticeOf) -> None:
    start, patient = camp.at(tomorrow(camp), 10), await world.person()
    await world.book(patient, camp, start)
    refusal = await refused(world.book(patient, camp, start))
    assert refusal.reason == "PATIENT_BUSY"


async def test_a_cancelled_seat_is_free_and_the_last_one_frees_the_time(
    world: World, camp: PracticeOf
) -> None:
    start = camp.at(tomorrow(camp), 10)
    people = [await world.person() for _ in range(3)]
    visits = [await world.book(person, camp, start) for person in people]
    await change(world, "CancelAppointment", people[0], visits[0])
    visits[0] = await world.book(people[0], camp, start)
    for person, visit in zip(people, visits, strict=True):
        refusal = await refused(world.book(await world.person(), camp, start + HALF_HOUR / 3))
        assert refusal.reason == "SLOT_TAKEN"
        await change(world, "CancelAppointment", person, visit)
    await world.book(await world.person(), camp, start + HALF_HOUR / 3)


async def test_a_seat_moves_to_another_group_and_the_empty_start_is_free(
    world: World, camp: PracticeOf
) -> None:
    start = camp.at(tomorrow(camp), 10)
    there = start + 2 * HALF_HOUR
    one, other = await world.person(), await world.person()
    visit = await world.book(one, camp, start)
    await world.book(other, camp, there)
    moved = await change(world, "RescheduleAppointment", one, visit, start_time=there)
    assert moved.previous_start_time == visit.start_time
    await world.book(await world.person(), camp, there)
    refusal = await refused(world.book(await world.person(), camp, there))
    assert refusal.reason == "SLOT_TAKEN"
    await world.book(await world.person(), camp, start + HALF_HOUR / 3)
    back = await change(
        world, "RescheduleAppointment", one, visit, start_time=start + 8 * HALF_HOUR
    )
    assert back.previous_start_time == moved.start_time
    await world.book(await world.person(), camp, there)


async def hold(world: World, patient: Person, at: PracticeOf, start: datetime) -> Any:
    fields = {"request_id": uuid4(), "practice_id": at.practice_id, "start_time": start}
    return (await world.call("HoldSlot", patient, **fields)).hold


async def taken(call: Any) -> None:
    assert (await refused(call)).reason == "SLOT_TAKEN"


async def test_a_visit_moves_onto_a_start_that_overlaps_its_own_session(
    world: World, camp: PracticeOf
) -> None:
    start, patient = camp.at(tomorrow(camp), 10), await world.person()
    visit = await world.book(patient, camp, start)
    there = start + HALF_HOUR / 3
    moved = await change(world, "RescheduleAppointment", patient, visit, start_time=there)
    assert moved.previous_start_time == visit.start_time
    await taken(world.book(await world.person(), camp, start))
    await world.book(await world.person(), camp, there)
    # Now somebody else has a seat in it, so that the session stays where it is.
    back = change(world, "RescheduleAppointment", patient, visit, start_time=start)
    await taken(back)


async def test_a_held_seat_counts_until_it_expires(
    world: World, camp: PracticeOf, clock: MovableClock
) -> None:
    start, holder = camp.at(tomorrow(camp), 10), await world.person()
    await world.book(await world.person(), camp, start)
    held = await hold(world, holder, camp, start)
    assert held.start_time.seconds == int(start.timestamp())
    await world.book(await world.person(), camp, start)
    await taken(world.book(await world.person(), camp, start))
    await taken(hold(world, await world.person(), camp, start))
    visit = await world.book(holder, camp, start, hold_id=held.hold_id)
    await taken(world.book(await world.person(), camp, start))
    await change(world, "CancelAppointment", holder, visit)
    await hold(world, holder, camp, start)
    await taken(world.book(await world.person(), camp, start))
    clock.advance(HALF_HOUR / 3)
    await world.book(await world.person(), camp, start)


async def test_a_session_of_holds_alone_is_joined_and_expires_with_the_last_of_them(
    world: World, camp: PracticeOf, clock: MovableClock
) -> None:
    start, (one, other) = camp.at(tomorrow(camp), 10), [await world.person() for _ in range(2)]
    await hold(world, one, camp, start)
    clock.advance(timedelta(minutes=6))
    await hold(world, other, camp, start)
    overlapping = start + HALF_HOUR / 3
    clock.advance(timedelta(minutes=6))
    await taken(world.book(one, camp, overlapping))
    await hold(world, other, camp, overlapping)  # alone in the session, which gives way
    clock.advance(timedelta(minutes=10))
    await world.book(one, camp, start)


async def test_a_released_seat_is_free_and_the_last_one_frees_the_time(
    world: World, camp: PracticeOf
) -> None:
    start, holder = camp.at(tomorrow(camp), 10), await world.person()
    held = await hold(world, holder, camp, start)
    visit = await world.book(await world.person(), camp, start)
    await hold(world, holder, camp, start)  # the same seat, once more
    again = await hold(world, holder, camp, start)
    assert again.hold_id != held.hold_id
    await world.call("ReleaseHold", holder, request_id=uuid4(), hold_id=again.hold_id)
    await taken(world.book(await world.person(), camp, start + HALF_HOUR / 3))
    last = await hold(world, holder, camp, start)
    await change(world, "CancelAppointment", camp.doctor, visit)
    await taken(world.book(await world.person(), camp, start + HALF_HOUR / 3))
    await world.call("ReleaseHold", holder, request_id=uuid4(), hold_id=last.hold_id)
    await world.book(await world.person(), camp, start + HALF_HOUR / 3)


@pytest.mark.parametrize("take", [World.book, hold])
async def test_racing_patients_never_take_more_seats_than_there_are(
    live_world: World, take: Any
) -> None:
    camp = await live_world.practice(capacity=5)
    start = camp.at(tomorrow(camp), 10)

    async def attempt(patient: Person) -> str:
        try:
            await take(live_world, patient, camp, start)
        except grpc.aio.AioRpcError as error:
            return Refusal(error).reason
        return "BOOKED"

    patients = [await live_world.person() for _ in range(count(15, deep=100))]
    outcomes = await asyncio.gather(*map(attempt, patients))
    assert outcomes.count("BOOKED") == 5
    assert set(outcomes) == {"BOOKED", "SLOT_TAKEN"}


async def test_a_seat_that_is_left_for_another_doctor_ends_no_session_that_is_joined_meanwhile(
    live_world: World,
) -> None:
    world = live_world
    camp, elsewhere = await world.practice(capacity=3, interval_minutes=10), await world.practice()
    start, other, leaver = camp.at(tomorrow(camp), 10), await world.person(), await world.person()
    seat = (await hold(world, leaver, camp, start)).hold_id
    lock, once = availability.lock_by_practice(camp.practice_id), "a test"
    async with world.db.transaction(other.caller, lock=lock, request_id=once) as tx:
        joined = {"practice_id": camp.practice_id, "visit_type_id": None, "start": start}
        await booking.book(tx, other.user_id, **joined, reason="")
        leaving = asyncio.create_task(world.book(leaver, elsewhere, start, hold_id=seat))
        while not leaving.done() and not (await tx.all(WAITING))[0]["n"]:
            pass
    await leaving
    await taken(world.book(await world.person(), camp, start + HALF_HOUR / 3))
