"""Booking, as patients call it."""

import asyncio
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import uuid4

import asyncpg
import grpc
import pytest

from benchmarks.trips import recorded
from server.core.clock import MovableClock
from tests.counts import count
from tests.refusal import Refusal, refused
from tests.world import Person, PracticeOf, World, tomorrow

SECOND = timedelta(seconds=1)
SLOTS_OF_DAYS = 32 * 7  # quarters of an hour of a week of eight-hour days


async def test_a_patient_books_a_free_time(world: World) -> None:
    practice, patient = await world.practice(), await world.person()
    start = practice.at(tomorrow(practice), 10)
    visit = await world.book(patient, practice, start)
    assert visit.start_time.ToDatetime(tzinfo=practice.zone) == start
    assert visit.end_time.ToDatetime(tzinfo=practice.zone) == start + timedelta(minutes=30)
    assert (visit.doctor_name, visit.clinic_name) == ("Dr. Meera Nair", "Lakeside Clinic")
    assert (visit.patient.full_name, visit.patient.phone) == ("Asha Rao", "+918047101000")
    assert (visit.price.units, visit.price.currency_code) == (500, "INR")
    assert (visit.transaction.amount, visit.transaction.status) == (visit.price, 1)
    assert visit.time_zone == "Asia/Kolkata"


async def test_a_taken_slot_is_refused(world: World) -> None:
    practice = await world.practice()
    start = practice.at(tomorrow(practice), 10)
    await world.book(await world.person(), practice, start)
    refusal = await refused(world.book(await world.person(), practice, start))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "SLOT_TAKEN")


async def test_a_visit_that_would_overlap_another_is_refused(world: World) -> None:
    practice = await world.practice(interval_minutes=10)
    day = tomorrow(practice)
    await world.book(await world.person(), practice, practice.at(day, 10))
    for minute in (10, 20):
        refusal = await refused(
            world.book(await world.person(), practice, practice.at(day, 10, minute))
        )
        assert refusal.reason == "SLOT_TAKEN"
    await world.book(await world.person(), practice, practice.at(day, 10, 30))


async def test_buffers_of_two_visits_add_up(world: World) -> None:
    practice = await world.practice(
        interval_minutes=5, buffer_before_minutes=5, buffer_after_minutes=10
    )
    day = tomorrow(practice)
    await world.book(await world.person(), practice, practice.at(day, 10))
    refusal = await refused(world.book(await world.person(), practice, practice.at(day, 10, 40)))
    assert refusal.reason == "SLOT_TAKEN"
    await world.book(await world.person(), practice, practice.at(day, 10, 45))


async def test_a_doctor_is_taken_at_every_clinic(world: World) -> None:
    here = await world.practice()
    there = await world.practice(doctor=here.doctor)
    start = here.at(tomorrow(here), 10)
    await world.book(await world.person(), here, start)
    refusal = await refused(world.book(await world.person(), there, start))
    assert refusal.reason == "SLOT_TAKEN"


async def test_a_patient_is_not_with_two_doctors_at_once(world: World) -> None:
    one, other = await world.practice(), await world.practice()
    patient, start = await world.person(), one.at(tomorrow(one), 10)
    await world.book(patient, one, start)
    refusal = await refused(world.book(patient, other, start))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "PATIENT_BUSY")
    await world.book(patient, other, start + timedelta(minutes=30))


@pytest.mark.parametrize(
    ("start", "rule"),
    [
        (lambda practice, day: practice.at(day, 10) - timedelta(days=2), "PAST"),
        (lambda practice, day: practice.at(day, 10) + timedelta(days=90), "HORIZON"),
        (lambda practice, day: practice.at(day, 10, 7), "OFF_GRID"),
        (lambda practice, day: practice.at(day, 10) + SECOND, "OFF_GRID"),
        (lambda practice, day: practice.at(day, 8, 30), "OUTSIDE_HOURS"),
        (lambda practice, day: practice.at(day, 17), "OUTSIDE_HOURS"),
    ],
)
async def test_a_time_that_is_not_offered_is_refused_with_the_rule(
    world: World, start: Any, rule: str
) -> None:
    practice, patient = await world.practice(), await world.person()
    wanted, once = start(practice, tomorrow(practice)), uuid4()
    refusal = await refused(world.book(patient, practice, wanted, request_id=once))
    assert refusal.code is grpc.StatusCode.FAILED_PRECONDITION
    assert (refusal.reason, refusal.metadata["rule"]) == ("NOT_BOOKABLE", rule)
    assert list(refusal.fields) == ["start_time"]
    assert not (await world.call("ListAppointments", patient)).appointments
    await world.book(patient, practice, practice.at(tomorrow(practice), 10), request_id=once)


async def test_notice_is_kept(world: World, clock: MovableClock) -> None:
    practice = await world.practice(notice_minutes=120)
    day = tomorrow(practice)
    clock.set(practice.at(day, 10, 5))
    refusal = await refused(world.book(await world.person(), practice, practice.at(day, 12)))
    assert refusal.metadata["rule"] == "NOTICE"
    await world.book(await world.person(), practice, practice.at(day, 12, 30))


async def test_an_unverified_doctor_is_not_found(world: World) -> None:
    practice = await world.practice(verified=False)
    start = practice.at(tomorrow(practice), 10)
    refusal = await refused(world.book(await world.person(), practice, start))
    assert refusal.code is grpc.StatusCode.NOT_FOUND


async def test_a_visit_type_of_another_practice_is_not_found(world: World) -> None:
    practice, other = await world.practice(), await world.practice()
    refusal = await refused(
        world.call(
            "BookAppointment",
            await world.person(),
            request_id=uuid4(),
            practice_id=practice.practice_id,
            visit_type_id=other.visit_type_id,
            start_time=practice.at(tomorrow(practice), 10),
        )
    )
    assert refusal.code is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("role", ["doctor", "staff", "admin"])
async def test_only_patients_book(world: World, role: str) -> None:
    practice, somebody = await world.practice(), await world.person(role)
    refusal = await refused(world.book(somebody, practice, practice.at(tomorrow(practice), 10)))
    assert refusal.code is grpc.StatusCode.PERMISSION_DENIED


async def test_booking_needs_a_token(world: World) -> None:
    refusal = await refused(world.call("BookAppointment", request_id=uuid4()))
    assert refusal.code is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("field", ["request_id", "practice_id", "start_time"])
async def test_a_missing_field_is_named(world: World, field: str) -> None:
    practice = await world.practice()
    fields: dict[str, Any] = {
        "request_id": uuid4(),
        "practice_id": practice.practice_id,
        "start_time": practice.at(tomorrow(practice), 10),
    }
    del fields[field]
    refusal = await refused(world.call("BookAppointment", await world.person(), **fields))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(refusal.fields) == [field]


async def test_a_repeated_request_books_once_and_answers_the_same(world: World) -> None:
    practice, patient = await world.practice(), await world.person()
    fields = {
        "request_id": uuid4(),
        "practice_id": practice.practice_id,
        "start_time": practice.at(tomorrow(practice), 10),
    }
    first = await world.call("BookAppointment", patient, **fields)
    again = await world.call("BookAppointment", patient, **fields)
    assert first == again
    listed = await world.call("ListAppointments", patient)
    assert len(listed.appointments) == 1


async def test_a_request_id_with_other_contents_is_refused(world: World) -> None:
    practice, patient = await world.practice(), await world.person()
    start = practice.at(tomorrow(practice), 10)
    fields = {"request_id": uuid4(), "practice_id": practice.practice_id}
    await world.call("BookAppointment", patient, start_time=start, **fields)
    refusal = await refused(
        world.call("BookAppointment", patient, start_time=start + timedelta(hours=1), **fields)
    )
    assert refusal.reason == "REQUEST_ID_REUSED"


async def test_of_many_patients_for_one_time_one_wins(live_world: World) -> None:
    practice = await live_world.practice()
    start = practice.at(tomorrow(practice), 10)
    patients = [await live_world.person() for _ in range(count(50, deep=200))]
    outcomes = await asyncio.gather(
        *(_outcome(live_world, patient, practice, start) for patient in patients)
    )
    assert sorted(set(outcomes)) == ["BOOKED", "SLOT_TAKEN"]
    assert outcomes.count("BOOKED") == 1


async def test_racing_bookings_of_overlapping_times_never_overlap(live_world: World) -> None:
    practice = await live_world.practice(interval_minutes=10)
    first = practice.at(tomorrow(practice), 10)
    starts = [first + timedelta(minutes=10 * (n % 12)) for n in range(48)]
    patients = [await live_world.person() for _ in starts]
    outcomes = await asyncio.gather(
        *(
            _outcome(live_world, patient, practice, start)
            for patient, start in zip(patients, starts, strict=True)
        )
    )
    won = sorted(
        start for start, outcome in zip(starts, outcomes, strict=True) if outcome == "BOOKED"
    )
    assert set(outcomes) == {"BOOKED", "SLOT_TAKEN"}
    assert all(late - early >= timedelta(minutes=30) for early, late in pairwise(won))


async def test_racing_repeats_of_a_booking_have_one_effect(live_world: World) -> None:
    practice, patient = await live_world.practice(), await live_world.person()
    fields = {
        "request_id": uuid4(),
        "practice_id": practice.practice_id,
        "start_time": practice.at(tomorrow(practice), 10),
    }
    answers = await asyncio.gather(
        *(live_world.call("BookAppointment", patient, **fields) for _ in range(10))
    )
    assert len({answer.SerializeToString() for answer in answers}) == 1


async def test_many_requests_that_race_their_repeats_have_one_effect_each(
    live_world: World,
) -> None:
    requests, repeats = count(8, deep=1000), 10
    practices = [await live_world.practice(length_minutes=15, interval_minutes=15)]
    while len(practices) * SLOTS_OF_DAYS < requests:
        practices.append(await live_world.practice(length_minutes=15, interval_minutes=15))
    day = tomorrow(practices[0])

    async def request(number: int) -> None:
        at, slot = practices[number // SLOTS_OF_DAYS], number % SLOTS_OF_DAYS
        start = at.at(day + timedelta(days=slot // 32), 9) + (slot % 32) * timedelta(minutes=15)
        patient = await live_world.person()
        fields = {"request_id": uuid4(), "practice_id": at.practice_id, "start_time": start}
        answers = await asyncio.gather(
            *(live_world.call("BookAppointment", patient, **fields) for _ in range(repeats))
        )
        assert len({answer.SerializeToString() for answer in answers}) == 1
        listed = await live_world.call("ListAppointments", patient)
        assert len(listed.appointments) == 1
        refusal = await refused(
            live_world.call("BookAppointment", patient, **(fields | {"reason": "Another"}))
        )
        assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
        assert refusal.reason == "REQUEST_ID_REUSED"

    for first in range(0, requests, 8):
        await asyncio.gather(*map(request, range(first, min(first + 8, requests))))


async def test_the_database_itself_refuses_a_second_claim_of_a_time(
    live_world: World, postgres: Any
) -> None:
    practice = await live_world.practice()
    start = practice.at(tomorrow(practice), 10)
    visit = await live_world.book(await live_world.person(), practice, start)
    connection = await asyncpg.connect(postgres.owner_dsn)
    try:
        with pytest.raises(asyncpg.ExclusionViolationError) as violation:
            await connection.execute(
                "INSERT INTO claim SELECT gen_random_uuid(), doctor_id, start_time, end_time, kind"
                " FROM claim WHERE claim_id = $1",
                visit.appointment_id,
            )
    finally:
        await connection.close()
    assert violation.value.constraint_name == "claim_overlap"


async def test_booking_takes_four_round_trips(live_world: World) -> None:
    practice, patient = await live_world.practice(), await live_world.person()
    with recorded() as sent:
        await live_world.book(patient, practice, practice.at(tomorrow(practice), 11))
    assert len(sent) == 4, sent


async def test_booking_what_is_held_takes_four_round_trips(live_world: World) -> None:
    practice, patient = await live_world.practice(), await live_world.person()
    start = practice.at(tomorrow(practice), 11)
    fields = {"request_id": uuid4(), "practice_id": practice.practice_id, "start_time": start}
    held = (await live_world.call("HoldSlot", patient, **fields)).hold
    with recorded() as sent:
        await live_world.book(patient, practice, start, hold_id=held.hold_id)
    assert len(sent) == 4, sent


async def _outcome(world: World, patient: Person, practice: PracticeOf, start: datetime) -> str:
    try:
        await world.book(patient, practice, start)
    except grpc.aio.AioRpcError as error:
        return Refusal(error).reason
    return "BOOKED"
