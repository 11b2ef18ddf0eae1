"""Moving a visit, cancelling within the policy, and taking a no-show back."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest

from carelane.appointment.v1 import appointment_pb2 as pb
from carelane.appointment.v1 import transaction_pb2
from server.core.clock import MovableClock
from server.core.db import Database
from tests.counts import count
from tests.refusal import Refusal, refused
from tests.world import Person, PracticeOf, World, tomorrow

HALF_HOUR, HOUR, DAY = timedelta(minutes=30), timedelta(hours=1), timedelta(days=1)


class Visit:
    """A visit of tomorrow, ten o'clock."""

    def __init__(self, world: World, practice: PracticeOf, patient: Person, visit: Any) -> None:
        self.world, self.practice, self.patient, self.visit = world, practice, patient, visit
        self.start = practice.at(tomorrow(practice), 10)

    async def call(self, rpc_name: str, by: Person, **fields: Any) -> Any:
        fields = {"request_id": uuid4(), "appointment_id": self.visit.appointment_id} | fields
        return (await self.world.call(rpc_name, by, **fields)).appointment

    async def move(self, by: Person, **fields: Any) -> Any:
        return await self.call(
            "RescheduleAppointment", by, **({"start_time": self.start + HOUR} | fields)
        )

    async def policy(self, minutes: int) -> Any:
        answer = await self.world.call(
            "SetCancelPolicy",
            self.practice.doctor,
            request_id=uuid4(),
            practice_id=self.practice.practice_id,
            notice_minutes=minutes,
        )
        return answer.cancel_policy


async def booked(world: World, **visit: Any) -> Visit:
    practice, patient = await world.practice(**visit), await world.person()
    made = await world.book(patient, practice, practice.at(tomorrow(practice), 10))
    return Visit(world, practice, patient, made)


@pytest.fixture
async def visit(world: World) -> Visit:
    return await booked(world)


async def test_a_moved_visit_is_the_same_one_at_another_time(visit: Visit) -> None:
    await visit.call("ConfirmAppointment", visit.practice.doctor)
    moved = await visit.move(visit.patient)
    assert moved.appointment_id == visit.visit.appointment_id
    assert moved.previous_start_time == visit.visit.start_time
    assert moved.start_time.seconds - visit.visit.start_time.seconds == 3600
    assert moved.end_time.seconds - moved.start_time.seconds == 1800
    assert moved.status == pb.APPOINTMENT_STATUS_BOOKED
    assert not moved.HasField("confirm_time")
    assert moved.etag != visit.visit.etag
    assert moved.transaction == visit.visit.transaction


async def test_the_old_time_is_free_and_the_new_one_taken(visit: Visit) -> None:
    await visit.move(visit.patient)
    world = visit.world
    await world.book(await world.person(), visit.practice, visit.start)
    refusal = await refused(world.book(await world.person(), visit.practice, visit.start + HOUR))
    assert refusal.reason == "SLOT_TAKEN"


async def test_a_visit_moves_onto_a_time_that_overlaps_its_own(world: World) -> None:
    visit = await booked(world, interval_minutes=10, buffer_after_minutes=10)
    moved = await visit.move(visit.patient, start_time=visit.start + timedelta(minutes=10))
    assert moved.previous_start_time == visit.visit.start_time


async def test_a_visit_that_cannot_move_stays(visit: Visit) -> None:
    world = visit.world
    await world.book(await world.person(), visit.practice, visit.start + HOUR)
    refusal = await refused(visit.move(visit.patient))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "SLOT_TAKEN")
    refusal = await refused(visit.move(visit.patient, start_time=visit.start + 9 * HOUR))
    assert refusal.metadata["rule"] == "OUTSIDE_HOURS"
    refusal = await refused(visit.move(visit.patient, start_time=visit.start))
    assert list(refusal.fields) == ["start_time"]
    answer = await world.call(
        "GetAppointment", visit.patient, appointment_id=visit.visit.appointment_id
    )
    assert answer.appointment == visit.visit


async def test_a_patient_does_not_move_into_another_visit_of_theirs(visit: Visit) -> None:
    world, other = visit.world, await visit.world.practice()
    await world.book(visit.patient, other, visit.start + HOUR)
    refusal = await refused(visit.move(visit.practice.doctor))
    assert refusal.reason == "PATIENT_BUSY"


async def test_doctor_and_staff_move_a_visit(visit: Visit) -> None:
    await visit.move(visit.practice.doctor)
    await visit.move(visit.practice.owner, start_time=visit.start)


async def test_a_patient_moves_to_the_time_they_hold(visit: Visit) -> None:
    await visit.world.call(
        "HoldSlot",
        visit.patient,
        request_id=uuid4(),
        practice_id=visit.practice.practice_id,
        start_time=visit.start + HOUR,
    )
    refusal = await refused(visit.move(visit.practice.doctor))
    assert refusal.reason == "SLOT_TAKEN"
    await visit.move(visit.patient)


async def test_an_old_etag_moves_nothing(visit: Visit) -> None:
    await visit.call("ConfirmAppointment", visit.practice.doctor)
    refusal = await refused(visit.move(visit.patient, etag=visit.visit.etag))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")


async def test_a_cancelled_visit_does_not_move(visit: Visit) -> None:
    await visit.call("CancelAppointment", visit.patient)
    refusal = await refused(visit.move(visit.practice.doctor))
    assert refusal.reason == "ILLEGAL_STATUS_CHANGE"
    assert refusal.metadata == {"current": "CANCELLED", "wanted": "BOOKED"}


async def test_a_repeated_move_answers_the_same(visit: Visit) -> None:
    once = uuid4()
    first = await visit.move(visit.patient, request_id=once)
    assert await visit.move(visit.patient, request_id=once) == first
    refusal = await refused(visit.move(visit.patient, request_id=once, start_time=visit.start))
    assert refusal.reason == "REQUEST_ID_REUSED"


@pytest.mark.parametrize("rpc_name", ["RescheduleAppointment", "UndoNoShow"])
async def test_strangers_and_nobody_change_nothing(visit: Visit, rpc_name: str) -> None:
    fields: dict[str, Any] = {"appointment_id": visit.visit.appointment_id, "request_id": uuid4()}
    if rpc_name == "RescheduleAppointment":
        fields["start_time"] = visit.start + HOUR
    world = visit.world
    other = await world.practice()
    for stranger in (await world.person(), other.doctor, other.owner):
        refusal = await refused(world.call(rpc_name, stranger, **fields))
        assert refusal.code is grpc.StatusCode.NOT_FOUND
    refusal = await refused(world.call(rpc_name, **fields))
    assert refusal.code is grpc.StatusCode.UNAUTHENTICATED
    refusal = await refused(world.call(rpc_name, visit.patient, **(fields | {"request_id": "7"})))
    assert list(refusal.fields) == ["request_id"]


async def test_a_patient_cancels_and_moves_within_the_policy(
    visit: Visit, clock: MovableClock
) -> None:
    assert (await visit.policy(120)).notice_minutes == 120
    clock.set(visit.start - 2 * HOUR + timedelta(minutes=1))
    for refusal in (
        await refused(visit.call("CancelAppointment", visit.patient)),
        await refused(visit.move(visit.patient)),
    ):
        assert (refusal.code, refusal.reason) == (
            grpc.StatusCode.FAILED_PRECONDITION,
            "TOO_LATE",
        )
        assert refusal.metadata["notice_minutes"] == "120"
    await visit.move(visit.practice.doctor)
    await visit.call("CancelAppointment", visit.patient)


async def test_the_policy_is_told_to_everybody_and_set_by_the_clinic_alone(visit: Visit) -> None:
    world, practice_id = visit.world, visit.practice.practice_id
    told = await world.call("GetCancelPolicy", practice_id=practice_id)
    assert told.cancel_policy.notice_minutes == 0
    assert not told.cancel_policy.HasField("update_time")
    fields = {"practice_id": practice_id, "notice_minutes": 60, "request_id": uuid4()}
    for stranger in (visit.patient, (await world.practice()).doctor):
        refusal = await refused(world.call("SetCancelPolicy", stranger, **fields))
        assert refusal.code is grpc.StatusCode.NOT_FOUND
    refusal = await refused(world.call("SetCancelPolicy", **fields))
    assert refusal.code is grpc.StatusCode.UNAUTHENTICATED
    first = await world.call("SetCancelPolicy", visit.practice.owner, **fields)
    assert await world.call("SetCancelPolicy", visit.practice.owner, **fields) == first
    told = await world.call("GetCancelPolicy", practice_id=practice_id)
    assert told.cancel_policy == first.cancel_policy
    refusal = await refused(visit.policy(-1))
    assert list(refusal.fields) == ["notice_minutes"]
    refusal = await refused(world.call("GetCancelPolicy", practice_id=uuid4()))
    assert refusal.code is grpc.StatusCode.NOT_FOUND


async def test_a_no_show_is_taken_back_within_a_day(visit: Visit, clock: MovableClock) -> None:
    refusal = await refused(visit.call("UndoNoShow", visit.practice.doctor))
    assert refusal.reason == "ILLEGAL_STATUS_CHANGE"
    clock.set(visit.start + HALF_HOUR)
    await visit.call("MarkNoShow", visit.practice.doctor)
    refusal = await refused(visit.call("UndoNoShow", visit.patient))
    assert refusal.code is grpc.StatusCode.PERMISSION_DENIED
    clock.advance(DAY - HOUR)
    once = uuid4()
    back = await visit.call("UndoNoShow", visit.practice.owner, request_id=once)
    assert back.status == pb.APPOINTMENT_STATUS_BOOKED
    assert back.transaction.status == transaction_pb2.TRANSACTION_STATUS_PENDING
    assert await visit.call("UndoNoShow", visit.practice.owner, request_id=once) == back


async def test_a_no_show_stays_after_a_day(visit: Visit, clock: MovableClock) -> None:
    clock.set(visit.start + HALF_HOUR)
    await visit.call("MarkNoShow", visit.practice.doctor)
    clock.advance(DAY + HOUR)
    refusal = await refused(visit.call("UndoNoShow", visit.practice.doctor))
    assert refusal.reason == "TOO_LATE"


ENDS = {
    "CancelAppointment": (
        pb.APPOINTMENT_STATUS_CANCELLED,
        transaction_pb2.TRANSACTION_STATUS_VOIDED,
    ),
    "CompleteAppointment": (
        pb.APPOINTMENT_STATUS_COMPLETED,
        transaction_pb2.TRANSACTION_STATUS_SETTLED,
    ),
}


async def attempted(visit: Visit, rpc_name: str, number: int) -> str:
    """Let the doctor end or move a visit, and answer the RPC or what refused it."""
    start = {"start_time": visit.start + (number % 8 + 1) * HALF_HOUR}
    more = start if rpc_name == "RescheduleAppointment" else {}
    try:
        await visit.call(rpc_name, visit.practice.doctor, **more)
    except grpc.aio.AioRpcError as error:
        return Refusal(error).reason
    return rpc_name


async def left_by(visit: Visit, outcomes: list[str]) -> tuple[bool, datetime]:
    """Check that one of the ends won; answer whether the visit took place, and its start."""
    (end,) = [outcome for outcome in outcomes if outcome in ENDS]
    where = {"appointment_id": visit.visit.appointment_id}
    left = (await visit.world.call("GetAppointment", visit.patient, **where)).appointment
    assert (left.status, left.transaction.status) == ENDS[end]
    return end == "CompleteAppointment", left.start_time.ToDatetime(tzinfo=UTC)


async def in_a_row(world: World, visits: int) -> list[Visit]:
    """Book visits one after the other from ten o'clock on."""
    first = await booked(world)
    made = [first]
    for number in range(1, visits):
        patient = await world.person()
        row = await world.book(patient, first.practice, first.start + number * HALF_HOUR)
        made.append(Visit(world, first.practice, patient, row))
    return made


@pytest.mark.parametrize("visits", [1, count(4, deep=12)], ids=["one visit", "many visits"])
async def test_racing_ends_and_moves_leave_legal_visits(
    live_world: World, committed: Database, visits: int
) -> None:
    many = await in_a_row(live_world, visits)
    calls = [
        attempted(visit, name, n)
        for n in range(100 if visits == 1 else count(8, deep=100))
        for name in (*ENDS, "RescheduleAppointment")
        for visit in many
    ]
    committed.clock.set(many[0].start)  # type: ignore[attr-defined]
    try:
        outcomes = await asyncio.gather(*calls)
    finally:
        committed.clock.offset = timedelta(0)  # type: ignore[misc]
    legal = {"ILLEGAL_STATUS_CHANGE", "INVALID_FIELD", "SLOT_TAKEN", "CONFLICT"}
    assert set(outcomes) <= {*ENDS, "RescheduleAppointment", *legal}
    left = [await left_by(visit, outcomes[number::visits]) for number, visit in enumerate(many)]
    taken = [start for took_place, start in left if took_place]
    assert len(set(taken)) == len(taken)
    for start in {start for _, start in left}:
        again = live_world.book(await live_world.person(), many[0].practice, start)
        if start in taken:
            assert (await refused(again)).reason == "SLOT_TAKEN"
        else:
            await again


async def test_racing_moves_to_one_time_let_one_visit_in(live_world: World) -> None:
    practice = await live_world.practice()
    day = tomorrow(practice)
    starts = [practice.at(day, 9) + n * HALF_HOUR for n in range(count(6, deep=15))]
    target = practice.at(day, 16, 30)
    visits = []
    for start in starts:
        patient = await live_world.person()
        visits.append(
            Visit(live_world, practice, patient, await live_world.book(patient, practice, start))
        )

    async def attempt(visit: Visit) -> str:
        try:
            await visit.move(visit.patient, start_time=target)
        except grpc.aio.AioRpcError as error:
            return Refusal(error).reason
        return "MOVED"

    outcomes = await asyncio.gather(*map(attempt, visits))
    assert sorted(outcomes) == ["MOVED", *["SLOT_TAKEN"] * (len(visits) - 1)]
