"""A doctor who is late: what is expected then, and who is told."""

from datetime import timedelta
from typing import Any

from server.core.clock import MovableClock
from server.core.db import Database
from server.core.outbox import Relay
from tests.queue.conftest import Day
from tests.world import Person

FIVE = timedelta(minutes=5)


async def say(day: Day, minutes: int) -> Any:
    fields = {"practice_id": day.practice.practice_id, "late_minutes": minutes}
    return (await day.call("RunningLate", **fields)).queue


def p50s(queue: Any) -> list[int]:
    waits = (each.expected_wait for each in queue.entries if each.HasField("expected_wait"))
    return [wait.p50_minutes for wait in waits]


async def test_all_who_wait_or_are_to_come_are_expected_later(
    day: Day, clock: MovableClock
) -> None:
    for number in range(2):
        await day.check_in(await day.book(number=number))
    await day.book(number=6)  # at one o'clock, when it is a quarter to ten
    assert p50s(await day.queue()) == [0, 30, 195]
    queue = await say(day, 20)
    assert (queue.late_minutes, p50s(queue)) == (20, [20, 50, 215])
    clock.advance(timedelta(minutes=15))
    assert p50s(await day.queue()) == [5, 35, 200]
    await day.call_next()
    assert p50s(await day.queue()) == [30, 200]
    queue = await say(day, 0)
    assert (queue.late_minutes, p50s(queue)) == (0, [30, 180])


async def test_being_late_is_of_one_day(day: Day, clock: MovableClock) -> None:
    await say(day, 20)
    clock.advance(timedelta(days=1))
    assert (await day.queue()).late_minutes == 0


async def test_who_waits_or_is_to_come_is_told_once(
    live_day: Day, worker: Database, owner: Any, relay: Relay
) -> None:
    world, practice = live_day.world, live_day.practice
    waiting, coming, done = [await world.person() for _ in range(3)]
    visits = [
        await world.book(patient, practice, live_day.begin + number * FIVE)
        for number, patient in enumerate((done, waiting, coming))
    ]
    await live_day.check_in(visits[0])
    await live_day.check_in(visits[1])
    await live_day.call_next()
    for _ in range(2):
        await say(live_day, 25)
    while await relay.deliver(worker):
        pass
    assert await told(owner, done) == []
    for patient in (waiting, coming):
        ((title, body),) = await told(owner, patient)
        assert title == "Running late"
        assert body.startswith("Dr. Meera Nair is about 25 minutes late today. Your appointment at")
    await say(live_day, 0)
    while await relay.deliver(worker):
        pass
    assert [title for title, _ in await told(owner, coming)] == ["Running late", "On time again"]


async def test_who_has_the_account_is_told_for_a_dependant(
    live_day: Day, worker: Database, owner: Any, relay: Relay
) -> None:
    world, guardian = live_day.world, await live_day.world.person()
    child = await world.dependant(guardian)
    await world.book(guardian, live_day.practice, live_day.begin, patient_id=child)
    (entry,) = (await live_day.queue()).entries
    assert (entry.patient_id, entry.patient_name) == (child, "Kiran Rao")
    await say(live_day, 25)
    while await relay.deliver(worker):
        pass
    ((title, body),) = await told(owner, guardian)
    assert title == "Running late"
    assert " late today. Kiran Rao's appointment at " in body


async def told(owner: Any, person: Person) -> list[tuple[str, str]]:
    rows = await owner.fetch(
        "SELECT title, body FROM notification WHERE user_id = $1 AND kind = 'queue_running_late'"
        " ORDER BY create_time",
        person.user_id,
    )
    return [tuple(row) for row in rows]
