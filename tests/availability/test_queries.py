"""Free times cost one query, however many days or doctors are asked for."""

from datetime import UTC, datetime

import pytest

from benchmarks.trips import queries, recorded
from server.availability import service
from tests.availability.test_availability import slots
from tests.world import World


@pytest.mark.parametrize("days", [1, 7, 31])
async def test_a_page_of_slots_is_one_query(live_world: World, days: int) -> None:
    practice = await live_world.practice()
    with recorded() as sent:
        found = await slots(live_world, practice, days=days)
    assert found
    assert len(queries(sent)) == 1, queries(sent)


async def test_the_next_free_times_of_many_doctors_are_one_query(live_world: World) -> None:
    practices = [await live_world.practice() for _ in range(5)]
    closed = await live_world.practice(rules=())
    now = live_world.db.clock.now()
    doctors = [each.doctor.user_id for each in (*practices, closed)]
    with recorded() as sent:
        found = await service.next_free_of(live_world.db, doctors, now, days=14)
    assert len(queries(sent)) == 1, queries(sent)
    firsts = {}
    for practice in practices:
        answer = await live_world.call("GetSlots", doctor_id=practice.doctor.user_id)
        start = answer.days[0].slots[0].start_time.ToDatetime(tzinfo=UTC)
        firsts[practice.doctor.user_id] = start
    assert found == firsts


async def test_of_a_doctor_s_practices_the_next_free_time_is_the_earliest(world: World) -> None:
    here = await world.practice(zone="Asia/Kolkata")
    there = await world.practice(doctor=here.doctor, zone="Europe/London")
    now = datetime(2027, 6, 1, 18, tzinfo=UTC)
    found = await service.next_free_of(world.db, [here.doctor.user_id], now, days=14)
    assert found == {there.doctor.user_id: here.at(datetime(2027, 6, 2, tzinfo=UTC).date(), 9)}
