"""The day at the clinic, as the desk and the doctor call it."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest

from carelane.queue.v1 import queue_pb2 as pb
from server.core.clock import MovableClock
from tests.queue.conftest import ALWAYS, Day
from tests.refusal import Refusal, refused
from tests.world import World

EXPECTED, WAITING = pb.QUEUE_STATE_EXPECTED, pb.QUEUE_STATE_WAITING
CALLED, DONE = pb.QUEUE_STATE_IN_CONSULTATION, pb.QUEUE_STATE_DONE
CHANGES = ("CheckIn", "StartConsultation")
ON_VISITS = (*CHANGES, "GetQueuePlace")
ON_PRACTICES = ("CallNext", "GetQueue", "RunningLate", "SetQueueSettings")


async def fields_of(day: Day, rpc_name: str) -> dict[str, Any]:
    """Answer what a proper call of the RPC names."""
    fields: dict[str, Any] = {} if rpc_name.startswith("Get") else {"request_id": uuid4()}
    if rpc_name in ON_VISITS:
        return fields | {"appointment_id": (await day.book()).appointment_id}
    return fields | {"practice_id": day.practice.practice_id}


async def test_a_patient_who_comes_gets_the_next_token(day: Day) -> None:
    first, second = await day.book(), await day.book(number=1)
    entry = await day.check_in(second)
    assert (entry.token, entry.state) == (1, WAITING)
    assert entry.HasField("check_in_time")
    desk = await day.world.front_desk(day.practice)
    assert (await day.check_in(first, desk)).token == 2


async def test_tokens_begin_again_the_next_day(day: Day, clock: MovableClock) -> None:
    await day.check_in(await day.book())
    clock.advance(timedelta(days=1))
    tomorrow = await day.world.book(
        await day.world.person(), day.practice, day.begin + timedelta(days=1)
    )
    assert (await day.check_in(tomorrow)).token == 1


async def test_a_visit_is_checked_in_on_its_day_alone(day: Day, clock: MovableClock) -> None:
    visit = await day.book()
    clock.advance(timedelta(days=-1))
    refusal = await refused(day.check_in(visit))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "TOO_EARLY")
    clock.advance(timedelta(days=2))
    assert (await refused(day.check_in(visit))).reason == "TOO_LATE"


async def test_who_came_first_is_called_first(day: Day) -> None:
    visits = [await day.book(number=number) for number in range(3)]
    for visit in reversed(visits):
        await day.check_in(visit)
    called = [(await day.call_next()).appointment_id for _ in visits]
    assert called == [visit.appointment_id for visit in reversed(visits)]


async def test_when_nobody_waits_nobody_is_called(day: Day) -> None:
    await day.book()
    refusal = await refused(day.call_next())
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "QUEUE_EMPTY")


async def test_a_patient_can_be_called_out_of_turn(day: Day) -> None:
    first, second = await day.book(), await day.book(number=1)
    await day.check_in(first)
    await day.check_in(second)
    answer = await day.call("StartConsultation", appointment_id=second.appointment_id)
    assert answer.entry.state == CALLED
    assert answer.entry.HasField("consultation_start_time")
    assert (await day.call_next()).appointment_id == first.appointment_id


@pytest.mark.parametrize("rpc_name", CHANGES)
async def test_a_visit_in_another_state_is_refused(day: Day, rpc_name: str) -> None:
    visit = await day.book()
    await day.world.call(
        "CancelAppointment",
        day.practice.doctor,
        request_id=uuid4(),
        appointment_id=visit.appointment_id,
    )
    refusal = await refused(day.call(rpc_name, appointment_id=visit.appointment_id))
    assert refusal.reason == "ILLEGAL_STATUS_CHANGE"
    assert refusal.metadata["current"] == "CANCELLED"


async def test_a_consultation_does_not_start_before_check_in(day: Day) -> None:
    visit = await day.book()
    refusal = await refused(day.call("StartConsultation", appointment_id=visit.appointment_id))
    assert refusal.metadata == {"current": "BOOKED", "wanted": "IN_CONSULTATION"}


async def test_the_queue_shows_the_whole_day_in_order(day: Day, clock: MovableClock) -> None:
    visits = [await day.book(number=number) for number in range(6)]
    for visit in visits[:4]:
        await day.check_in(visit)
    done = await day.call_next()
    await day.call("CompleteAppointment", appointment_id=done.appointment_id)
    await day.call_next()
    await day.call("CancelAppointment", appointment_id=visits[5].appointment_id)
    queue = await day.queue()
    assert [entry.state for entry in queue.entries] == [DONE, CALLED, WAITING, WAITING, EXPECTED]
    assert [entry.token for entry in queue.entries] == [1, 2, 3, 4, 0]
    assert [entry.appointment_id for entry in queue.entries] == [
        visit.appointment_id for visit in visits[:5]
    ]
    assert {entry.patient_name for entry in queue.entries} == {"Asha Rao"}
    assert (queue.time_zone, queue.local_date.day) == ("Asia/Kolkata", day.today.day)
    assert (queue.late_minutes, queue.no_show_grace_minutes) == (0, 30)


async def test_a_queue_shows_a_grace_only_where_somebody_is_marked(day: Day) -> None:
    visit = await day.book()
    assert (await day.queue()).no_show_grace_minutes == 0
    practice = {"practice_id": day.practice.practice_id}
    late = await day.call("RunningLate", **practice, late_minutes=10)
    assert late.queue.no_show_grace_minutes == 0
    await day.check_in(visit)
    assert (await day.queue()).no_show_grace_minutes == 30


async def test_a_patient_sees_their_own_place_alone(day: Day) -> None:
    patients = [await day.world.person() for _ in range(4)]
    visits = [await day.book(patient, number=n) for n, patient in enumerate(patients)]
    for visit in visits[:3]:
        await day.check_in(visit)
    await day.call_next()
    places = []
    for patient, visit in zip(patients, visits, strict=True):
        asked = {"appointment_id": visit.appointment_id}
        places.append((await day.world.call("GetQueuePlace", patient, **asked)).queue_place)
    assert [place.state for place in places] == [CALLED, WAITING, WAITING, EXPECTED]
    assert [place.token for place in places] == [1, 2, 3, 0]
    assert [place.ahead_count for place in places] == [0, 0, 1, 2]
    assert [place.expected_wait.p50_minutes for place in places] == [0, 30, 60, 105]
    assert not places[0].HasField("expected_wait")
    other = {"appointment_id": visits[0].appointment_id}
    refusal = await refused(day.world.call("GetQueuePlace", patients[1], **other))
    assert refusal.code is grpc.StatusCode.NOT_FOUND


async def test_a_visit_of_another_day_has_no_place(day: Day, clock: MovableClock) -> None:
    patient = await day.world.person()
    visit = await day.book(patient)
    clock.advance(timedelta(days=-1))
    asked = {"appointment_id": visit.appointment_id}
    refusal = await refused(day.world.call("GetQueuePlace", patient, **asked))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")


async def test_without_history_waits_follow_the_booked_lengths(day: Day) -> None:
    for number in range(3):
        visit = await day.book(number=number)
        await day.check_in(visit)
    await day.call_next()
    queue = await day.queue()
    assert [entry.HasField("expected_wait") for entry in queue.entries] == [False, True, True]
    assert [entry.expected_wait.p50_minutes for entry in queue.entries] == [0, 30, 60]
    assert queue.entries[2].expected_wait.p90_minutes > 60


async def test_a_group_shares_its_minutes_and_teaches_nothing(
    day: Day, clock: MovableClock
) -> None:
    day.practice = await day.world.practice(capacity=3)
    visits = [await day.book() for _ in range(3)] + [await day.book(number=1)]
    for visit in visits:
        await day.check_in(visit)
    queue = await day.queue()
    assert [entry.expected_wait.p50_minutes for entry in queue.entries] == [0, 10, 20, 30]
    await day.call_next()
    clock.advance(timedelta(minutes=90))
    await day.call("CompleteAppointment", appointment_id=visits[0].appointment_id)
    queue = await day.queue()
    assert [entry.expected_wait.p50_minutes for entry in queue.entries[1:]] == [0, 10, 20]


async def test_an_empty_day_has_a_queue(day: Day) -> None:
    assert list((await day.queue()).entries) == []


async def test_yesterday_is_not_in_the_queue(day: Day, clock: MovableClock) -> None:
    await day.check_in(await day.book())
    clock.advance(timedelta(days=1))
    assert list((await day.queue()).entries) == []


async def test_who_waits_at_midnight_stays_in_front(world: World, clock: MovableClock) -> None:
    practice = await world.practice(rules=ALWAYS)
    night = (datetime.now(UTC) + timedelta(days=3)).date()
    clock.set(practice.at(night, 23))
    day = Day(world, practice, night)
    starts = [practice.at(night, 23, 30), practice.at(night + timedelta(days=1), 0)]
    late, early = [await world.book(await world.person(), practice, start) for start in starts]
    await day.check_in(late)
    clock.advance(timedelta(minutes=65))
    await day.check_in(early)
    entries = (await day.queue()).entries
    assert [entry.appointment_id for entry in entries] == [
        late.appointment_id,
        early.appointment_id,
    ]
    assert (await day.call_next()).appointment_id == late.appointment_id
    clock.advance(timedelta(hours=7))
    entries = (await day.queue()).entries
    assert [entry.appointment_id for entry in entries] == [early.appointment_id]


@pytest.mark.parametrize("rpc_name", [*ON_VISITS, *ON_PRACTICES])
async def test_to_others_the_queue_does_not_exist(day: Day, rpc_name: str) -> None:
    world, fields = day.world, await fields_of(day, rpc_name)
    name = "appointment_id" if rpc_name in ON_VISITS else "practice_id"
    other, colleague = await world.practice(), await world.person("doctor")
    await world.member(day.practice.owner, day.practice.clinic_id, colleague, "doctor")
    for stranger in (await world.person(), other.doctor, other.owner, colleague):
        refusal = await refused(world.call(rpc_name, stranger, **fields))
        unknown = await refused(world.call(rpc_name, stranger, **(fields | {name: uuid4()})))
        assert refusal.code is grpc.StatusCode.NOT_FOUND
        assert (refusal.reason, refusal.text) == (unknown.reason, unknown.text)


@pytest.mark.parametrize("rpc_name", CHANGES)
async def test_a_patient_does_not_do_what_the_clinic_does(day: Day, rpc_name: str) -> None:
    patient = await day.world.person()
    visit = await day.book(patient)
    refusal = await refused(day.call(rpc_name, patient, appointment_id=visit.appointment_id))
    assert refusal.code is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("rpc_name", [*ON_VISITS, *ON_PRACTICES])
async def test_a_queue_needs_a_token_and_a_proper_id(day: Day, rpc_name: str) -> None:
    fields = await fields_of(day, rpc_name)
    assert (await refused(day.world.call(rpc_name, **fields))).code is (
        grpc.StatusCode.UNAUTHENTICATED
    )
    name = "appointment_id" if rpc_name in ON_VISITS else "practice_id"
    wrong = await refused(day.world.call(rpc_name, day.practice.doctor, **(fields | {name: "7"})))
    assert wrong.code is grpc.StatusCode.INVALID_ARGUMENT
    assert name in wrong.fields


async def test_a_repeated_change_answers_the_same(day: Day) -> None:
    once = {"request_id": uuid4()}
    visits = [await day.book(number=number) for number in range(2)]
    first = await day.check_in(visits[0], **once)
    assert await day.check_in(visits[0], **once) == first
    assert (await day.check_in(visits[1])).token == 2
    once = {"request_id": uuid4()}
    called = await day.call_next(**once)
    assert await day.call_next(**once) == called
    once = {"request_id": uuid4(), "appointment_id": visits[1].appointment_id}
    started = await day.call("StartConsultation", **once)
    assert await day.call("StartConsultation", **once) == started
    refusal = await refused(day.call("StartConsultation", **(once | {"appointment_id": uuid4()})))
    assert refusal.reason == "REQUEST_ID_REUSED"


@pytest.mark.parametrize(
    ("rpc_name", "field"),
    [("RunningLate", "late_minutes"), ("SetQueueSettings", "no_show_grace_minutes")],
)
async def test_minutes_are_of_this_day(day: Day, rpc_name: str, field: str) -> None:
    fields = {"practice_id": day.practice.practice_id}
    for minutes in (-1, 481):
        refusal = await refused(day.call(rpc_name, **fields, **{field: minutes}))
        assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
        assert field in refusal.fields
    once = fields | {"request_id": uuid4(), field: 20}
    first = await day.call(rpc_name, **once)
    assert await day.call(rpc_name, **once) == first
    assert (await refused(day.call(rpc_name, **(once | {field: 30})))).reason == "REQUEST_ID_REUSED"


async def test_the_front_desk_chooses_when_a_patient_is_missed(day: Day) -> None:
    desk = await day.world.front_desk(day.practice)
    for minutes in (0, 45):
        answer = await day.call(
            "SetQueueSettings",
            desk,
            practice_id=day.practice.practice_id,
            no_show_grace_minutes=minutes,
        )
        assert answer.queue_settings.no_show_grace_minutes == minutes
        assert (await day.queue()).no_show_grace_minutes == minutes


async def outcome(call: Any) -> str:
    """Answer whom a call called, or why it was refused."""
    try:
        return str((await call).appointment_id)
    except grpc.aio.AioRpcError as error:
        return Refusal(error).reason


async def test_screens_that_call_at_once_never_call_the_same_patient(live_day: Day) -> None:
    visits = []
    for number in range(8):
        visit = await live_day.world.book(
            await live_day.world.person(),
            live_day.practice,
            live_day.begin + number * timedelta(minutes=5),
        )
        visits.append(visit.appointment_id)
        await live_day.check_in(visit)
    outcomes = await asyncio.gather(*(outcome(live_day.call_next()) for _ in range(20)))
    called = [each for each in outcomes if each != "QUEUE_EMPTY"]
    assert sorted(called) == sorted(visits)
    assert outcomes.count("QUEUE_EMPTY") == 12


async def test_patients_who_check_in_at_once_get_tokens_without_gap(live_day: Day) -> None:
    world, visits = live_day.world, []
    for number in range(10):
        start = live_day.begin + number * timedelta(minutes=5)
        visits.append(await world.book(await world.person(), live_day.practice, start))
    entries = await asyncio.gather(*(live_day.check_in(visit) for visit in visits))
    assert sorted(entry.token for entry in entries) == list(range(1, 11))


async def test_of_a_call_and_a_cancellation_at_once_one_wins(live_day: Day) -> None:
    world: World = live_day.world
    patient = await world.person()
    visit = await world.book(patient, live_day.practice, live_day.begin)
    await live_day.check_in(visit)
    fields = {"appointment_id": visit.appointment_id}
    calls = [live_day.call("StartConsultation", **fields) for _ in range(5)]
    calls += [live_day.call("CancelAppointment", **fields) for _ in range(5)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    started = [answer for answer in answers[:5] if not isinstance(answer, BaseException)]
    cancelled = [answer for answer in answers[5:] if not isinstance(answer, BaseException)]
    assert len(started) <= 1
    assert len(cancelled) == 1  # one that was started can still be called off
