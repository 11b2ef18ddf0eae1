"""What no constraint can say holds when many want it at once: the calendar's lock does it."""

import asyncio
from collections import Counter
from typing import Any
from uuid import uuid4

import grpc

from tests.availability.test_limits import limit, set_travel
from tests.world import PracticeOf, World, tomorrow


async def book_all(world: World, starts: list[tuple[PracticeOf, Any]]) -> Counter[str]:
    """Let a patient each book a start, all at once, and count how it ended."""
    patients = [await world.person() for _ in starts]
    made = await asyncio.gather(
        *(world.book(who, at, start) for who, (at, start) in zip(patients, starts, strict=True)),
        return_exceptions=True,
    )
    return Counter(
        each.code().name if isinstance(each, grpc.aio.AioRpcError) else "OK" for each in made
    )


async def test_a_day_takes_no_more_than_its_limit(live_world: World) -> None:
    practice = await live_world.practice()
    await limit(live_world, practice, day_visits=3)
    day = tomorrow(practice)
    starts = [(practice, practice.at(day, 9 + n // 2, n % 2 * 30)) for n in range(16)]
    ended = await book_all(live_world, starts)
    assert ended == {"OK": 3, "FAILED_PRECONDITION": 13}


async def test_a_doctor_is_not_sent_to_two_clinics_without_time_for_the_way(
    live_world: World,
) -> None:
    one = await live_world.practice()
    other = await live_world.practice(doctor=one.doctor)
    await set_travel(live_world, one.doctor, one, other, 240)
    day = tomorrow(one)
    starts = [(at, at.at(day, 12, n % 2 * 30)) for n in range(8) for at in (one, other)]
    ended = await book_all(live_world, starts)
    visits = [
        answer.appointments
        for at in (one, other)
        for answer in [
            await live_world.call(
                "ListDoctorAppointments", at.owner, clinic_id=at.clinic_id, from_date=day
            )
        ]
    ]
    assert ended["OK"] == 2
    assert sorted(map(len, visits)) == [0, 2]


async def test_time_off_and_a_booking_do_not_miss_each_other(live_world: World) -> None:
    for _ in range(5):
        practice = await live_world.practice()
        start = practice.at(tomorrow(practice), 9)
        patient = await live_world.person()
        span = {"start_time": start, "end_time": practice.at(tomorrow(practice), 12)}
        ended = await asyncio.gather(
            live_world.book(patient, practice, start),
            live_world.call("AddTimeOff", practice.doctor, request_id=uuid4(), **span),
            return_exceptions=True,
        )
        refused = [each for each in ended if isinstance(each, grpc.aio.AioRpcError)]
        assert [each.code() for each in refused] == [grpc.StatusCode.FAILED_PRECONDITION]
