"""One doctor as everyone sees them."""

from datetime import UTC, datetime
from uuid import uuid4

import grpc
import pytest

from server.availability.hours import Rule, Window
from tests.refusal import refused
from tests.world import World, tomorrow


async def test_a_doctor_is_shown_with_the_first_free_time_of_each_practice(world: World) -> None:
    first = await world.practice(horizon_days=30)
    second = await world.practice(
        doctor=first.doctor,
        rules=tuple(Rule(day, Window(18 * 60, 20 * 60)) for day in range(1, 8)),
    )
    shown = (await world.call("GetDoctor", doctor_id=first.doctor.user_id)).doctor
    free = {p.practice_id: p.next_free_time.ToDatetime(UTC) for p in shown.practices}
    assert set(free) == {str(first.practice_id), str(second.practice_id)}
    assert shown.next_free_time.ToDatetime(UTC) == min(free.values())
    assert min(free.values()) > world.db.clock.now()


async def test_a_taken_time_is_not_the_next_free_one(world: World) -> None:
    practice = await world.practice(notice_minutes=0)
    start = practice.at(tomorrow(practice), 9)
    world.db.clock.set(start.replace(hour=8))  # type: ignore[attr-defined]
    before = (await world.call("GetDoctor", doctor_id=practice.doctor.user_id)).doctor
    await world.book(await world.person(), practice, start)
    after = (await world.call("GetDoctor", doctor_id=practice.doctor.user_id)).doctor
    assert before.next_free_time.ToDatetime(UTC) == start
    assert after.next_free_time.ToDatetime(UTC) == practice.at(start.date(), 9, 30)


async def test_a_doctor_without_hours_has_no_free_time(world: World) -> None:
    practice = await world.practice(rules=())
    shown = (await world.call("GetDoctor", doctor_id=practice.doctor.user_id)).doctor
    assert len(shown.practices) == 1
    assert not shown.HasField("next_free_time")
    assert not shown.practices[0].HasField("next_free_time")


async def test_years_in_practice_are_counted_by_the_clock(world: World) -> None:
    practice = await world.practice()
    world.db.clock.set(datetime(2031, 6, 1, tzinfo=UTC))  # type: ignore[attr-defined]
    shown = (await world.call("GetDoctor", doctor_id=practice.doctor.user_id)).doctor
    assert shown.experience_years == 21


async def test_an_unverified_doctor_is_like_one_that_does_not_exist(world: World) -> None:
    practice = await world.practice(verified=False)
    patient = await world.person()
    refusals = [
        await refused(world.call("GetDoctor", by, doctor_id=doctor_id))
        for by in (None, patient, practice.doctor, practice.owner)
        for doctor_id in (practice.doctor.user_id, uuid4(), patient.user_id)
    ]
    assert {refusal.code for refusal in refusals} == {grpc.StatusCode.NOT_FOUND}
    assert len({refusal.text for refusal in refusals}) == 1


@pytest.mark.parametrize("doctor_id", ["", "1", "00000000-0000-0000-0000-00000000000g"])
async def test_an_id_that_is_none_is_refused(world: World, doctor_id: str) -> None:
    refusal = await refused(world.call("GetDoctor", doctor_id=doctor_id))
    assert list(refusal.fields) == ["doctor_id"]
