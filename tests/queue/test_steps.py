"""What a watcher is told between two views of a queue."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from carelane.queue.v1 import queue_pb2 as pb
from server.queue.day import Entry, Practice, Queue
from server.queue.messages import from_step
from server.queue.waits import Late, Wait
from server.queue.watching import Step, View

NOW = datetime(2026, 7, 3, 5, 0, tzinfo=UTC)
TODAY = NOW.date()
PRACTICE = Practice(uuid4(), uuid4(), uuid4(), ZoneInfo("Asia/Kolkata"))


def entry(number: int, state: str = "waiting") -> Entry:
    patient = {"patient_id": uuid4(), "patient_name": "Asha Rao", "visit_type_name": "Visit"}
    times = {"check_in_time": NOW, "consultation_start_time": None, "consultation_end_time": None}
    return Entry(
        UUID(int=number), state, number, start_time=NOW, booked_minutes=30, **patient, **times
    )


def view(*entries: Entry, day: date = TODAY, late: Late | None = None) -> View:
    waits = tuple(Wait(30 * place, 40 * place) for place in range(len(entries)))
    return View(Queue(PRACTICE, day, late, 30, entries), NOW, waits)


def test_the_first_step_is_the_whole_queue() -> None:
    message = from_step(Step(None, view(entry(1), entry(2))))
    assert [each.token for each in message.queue.entries] == [1, 2]


def test_a_new_day_is_a_whole_queue_again() -> None:
    before, after = view(entry(1)), view(day=TODAY + timedelta(days=1))
    message = from_step(Step(before, after))
    assert message.WhichOneof("event") == "queue"
    assert list(message.queue.entries) == []


def test_a_change_has_what_differs_and_what_is_gone() -> None:
    first, second, third = entry(1), entry(2), entry(3)
    called = replace(first, state="in_consultation")
    before = view(first, second)
    after = view(called, third)._replace(waits=(None, Wait(30, 40)))
    change = from_step(Step(before, after)).change
    assert {each.token: each.state for each in change.entries} == {
        1: pb.QUEUE_STATE_IN_CONSULTATION,
        3: pb.QUEUE_STATE_WAITING,
    }
    assert list(change.removed_appointment_ids) == [str(second.appointment_id)]


def test_a_wait_that_differs_is_a_change_and_the_others_are_left_out() -> None:
    before = view(entry(1), second := entry(2))
    first = before.queue.entries[0]
    after = view(first, second)._replace(waits=(before.waits[0], Wait(31, 41)))
    (changed,) = from_step(Step(before, after)).change.entries
    assert (changed.token, changed.expected_wait.p50_minutes) == (2, 31)


def test_being_late_alone_is_a_change() -> None:
    before = view(entry(1))
    after = before._replace(queue=replace(before.queue, late=Late(20, NOW)))
    assert not before.shows(after)
    change = from_step(Step(before, after)).change
    assert (change.late_minutes, list(change.entries)) == (20, [])


def test_time_that_goes_by_alone_is_no_change() -> None:
    before = view(entry(1))
    assert before.shows(before._replace(now=NOW + timedelta(seconds=1)))
