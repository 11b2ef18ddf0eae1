"""Following a visit to its end, as its two sides call it."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import pytest

from carelane.appointment.v1 import appointment_pb2 as pb
from carelane.appointment.v1 import transaction_pb2
from server.appointment.models import Appointment
from server.appointment.states import ACTIVE, LEGAL
from server.core.clock import MovableClock
from tests.refusal import refused
from tests.world import Person, PracticeOf, World, tomorrow

CHANGES = ("ConfirmAppointment", "CancelAppointment", "CompleteAppointment", "MarkNoShow")


class Booked:
    """A visit of tomorrow, ten o'clock, and who has to do with it."""

    def __init__(self, world: World, practice: PracticeOf, patient: Person, visit: Any) -> None:
        self.world, self.practice, self.patient, self.visit = world, practice, patient, visit
        self.start = practice.at(tomorrow(practice), 10)

    async def call(self, rpc_name: str, person: Person | None, **fields: Any) -> Any:
        """Call a change of the visit, and answer the appointment."""
        fields = {"request_id": uuid4(), "appointment_id": self.visit.appointment_id} | fields
        return (await self.world.call(rpc_name, person, **fields)).appointment


@pytest.fixture
async def booked(world: World) -> Booked:
    return await _booked(world)


async def _booked(world: World) -> Booked:
    practice, patient = await world.practice(), await world.person()
    visit = await world.book(patient, practice, practice.at(tomorrow(practice), 10))
    return Booked(world, practice, patient, visit)


async def test_the_clinic_confirms(booked: Booked) -> None:
    confirmed = await booked.call("ConfirmAppointment", booked.practice.doctor)
    assert confirmed.HasField("confirm_time")
    assert confirmed.status == pb.APPOINTMENT_STATUS_BOOKED
    again = await booked.call("ConfirmAppointment", booked.practice.owner)
    assert again.confirm_time == confirmed.confirm_time


async def test_a_patient_cancels_and_the_time_is_free_again(booked: Booked) -> None:
    cancelled = await booked.call("CancelAppointment", booked.patient, reason="I am well again")
    assert cancelled.status == pb.APPOINTMENT_STATUS_CANCELLED
    assert cancelled.cancelled_by == pb.APPOINTMENT_PARTY_PATIENT
    assert cancelled.cancel_reason == "I am well again"
    assert cancelled.transaction.status == transaction_pb2.TRANSACTION_STATUS_VOIDED
    world = booked.world
    await world.book(await world.person(), booked.practice, booked.start)


async def test_who_cancelled_is_told(booked: Booked) -> None:
    desk = await booked.world.front_desk(booked.practice)
    cancelled = await booked.call("CancelAppointment", desk)
    assert cancelled.cancelled_by == pb.APPOINTMENT_PARTY_CLINIC
    other = await _booked(booked.world)
    cancelled = await other.call("CancelAppointment", other.practice.doctor)
    assert cancelled.cancelled_by == pb.APPOINTMENT_PARTY_DOCTOR


async def test_a_patient_cannot_cancel_once_it_has_begun_but_the_clinic_can(
    booked: Booked, clock: MovableClock
) -> None:
    clock.set(booked.start)
    refusal = await refused(booked.call("CancelAppointment", booked.patient))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "TOO_LATE")
    await booked.call("CancelAppointment", booked.practice.owner)


async def test_a_patient_who_is_called_early_cancels_no_more_but_the_clinic_may(
    booked: Booked, clock: MovableClock
) -> None:
    clock.set(booked.start - timedelta(hours=1))
    visit = {"appointment_id": booked.visit.appointment_id}
    for step in ("CheckIn", "StartConsultation"):
        await booked.world.call(step, booked.practice.doctor, request_id=uuid4(), **visit)
    refusal = await refused(booked.call("CancelAppointment", booked.patient))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "TOO_LATE")
    await booked.call("CancelAppointment", booked.practice.owner)


async def test_a_completed_visit_is_paid(booked: Booked, clock: MovableClock) -> None:
    clock.set(booked.start)
    done = await booked.call("CompleteAppointment", booked.practice.doctor)
    assert done.status == pb.APPOINTMENT_STATUS_COMPLETED
    assert done.transaction.status == transaction_pb2.TRANSACTION_STATUS_SETTLED
    assert done.transaction.HasField("settle_time")


async def test_a_visit_is_not_completed_before_its_day(booked: Booked, clock: MovableClock) -> None:
    refusal = await refused(booked.call("CompleteAppointment", booked.practice.doctor))
    assert refusal.reason == "TOO_EARLY"
    clock.set(booked.start - timedelta(hours=2))
    await booked.call("CompleteAppointment", booked.practice.doctor)


async def test_a_patient_who_did_not_come_is_marked(booked: Booked, clock: MovableClock) -> None:
    refusal = await refused(booked.call("MarkNoShow", booked.practice.doctor))
    assert refusal.reason == "TOO_EARLY"
    clock.set(booked.start)
    missed = await booked.call("MarkNoShow", booked.practice.doctor)
    assert missed.status == pb.APPOINTMENT_STATUS_NO_SHOW
    assert missed.transaction.status == transaction_pb2.TRANSACTION_STATUS_VOIDED


async def test_an_ended_visit_changes_no_more(booked: Booked) -> None:
    await booked.call("CancelAppointment", booked.patient)
    for change in CHANGES:
        refusal = await refused(booked.call(change, booked.practice.doctor))
        assert (refusal.code, refusal.reason) == (
            grpc.StatusCode.FAILED_PRECONDITION,
            "ILLEGAL_STATUS_CHANGE",
        )
        assert refusal.metadata["current"] == "CANCELLED"
    refusal = await refused(booked.call("CancelAppointment", booked.patient))
    assert refusal.text == "The appointment is cancelled already."
    refusal = await refused(booked.call("MarkNoShow", booked.practice.doctor))
    assert refusal.text == "The appointment is cancelled and cannot be marked as missed."


@pytest.mark.parametrize("change", ["ConfirmAppointment", "CompleteAppointment", "MarkNoShow"])
async def test_a_patient_does_not_do_what_the_clinic_does(booked: Booked, change: str) -> None:
    refusal = await refused(booked.call(change, booked.patient))
    assert refusal.code is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("rpc_name", [*CHANGES, "GetAppointment"])
async def test_to_others_the_visit_does_not_exist(booked: Booked, rpc_name: str) -> None:
    world, fields = booked.world, {"appointment_id": booked.visit.appointment_id}
    if rpc_name != "GetAppointment":
        fields["request_id"] = str(uuid4())
    other, admin = await world.practice(), Person(uuid4(), "admin")
    for stranger in (await world.person(), other.doctor, other.owner, admin):
        refusal = await refused(world.call(rpc_name, stranger, **fields))
        unknown = await refused(
            world.call(rpc_name, stranger, **(fields | {"appointment_id": uuid4()}))
        )
        assert refusal.code is grpc.StatusCode.NOT_FOUND
        assert (refusal.reason, refusal.text) == (unknown.reason, unknown.text)


async def test_a_colleague_at_the_clinic_does_not_see_the_doctor_s_patients(
    booked: Booked,
) -> None:
    world, practice = booked.world, booked.practice
    colleague = await world.person("doctor")
    await world.member(practice.owner, practice.clinic_id, colleague, "doctor")
    refusal = await refused(
        world.call("GetAppointment", colleague, appointment_id=booked.visit.appointment_id)
    )
    assert refusal.code is grpc.StatusCode.NOT_FOUND


async def test_both_sides_see_the_visit(booked: Booked) -> None:
    world, practice = booked.world, booked.practice
    desk = await world.front_desk(practice)
    for person in (booked.patient, practice.doctor, practice.owner, desk):
        answer = await world.call(
            "GetAppointment", person, appointment_id=booked.visit.appointment_id
        )
        assert answer.appointment.patient.full_name == "Asha Rao"


@pytest.mark.parametrize("rpc_name", [*CHANGES, "GetAppointment"])
async def test_a_visit_needs_a_token_and_a_proper_id(booked: Booked, rpc_name: str) -> None:
    refusal = await refused(booked.world.call(rpc_name, appointment_id=uuid4()))
    assert refusal.code is grpc.StatusCode.UNAUTHENTICATED
    refusal = await refused(booked.world.call(rpc_name, booked.patient, appointment_id="7"))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "appointment_id" in refusal.fields


@pytest.mark.parametrize("change", ["ConfirmAppointment", "CancelAppointment"])
async def test_a_repeated_change_answers_the_same(booked: Booked, change: str) -> None:
    once = uuid4()
    first = await booked.call(change, booked.practice.doctor, request_id=once)
    assert await booked.call(change, booked.practice.doctor, request_id=once) == first


def test_the_contract_names_the_same_changes_as_the_table() -> None:
    """The comment on AppointmentStatus is the table that people read."""
    proto = Path("proto/carelane/appointment/v1/appointment.proto").read_text()
    lines = re.findall(r"^//   (\w+) +→ (.+)$", proto, re.MULTILINE)
    told = {name.lower(): set(wanted.lower().split(", ")) for name, wanted in lines}
    assert told == {name: wanted for name, wanted in LEGAL.items() if wanted}


def test_the_contract_and_the_database_know_the_same_states() -> None:
    names = {
        name.removeprefix("APPOINTMENT_STATUS_").lower() for name, _ in pb.AppointmentStatus.items()
    }
    (check,) = (
        constraint
        for constraint in Appointment.__table__.constraints
        if constraint.name == "appointment_status_check"
    )
    assert names - {"unspecified"} == set(LEGAL)
    assert set(re.findall(r"'(\w+)'", str(check.sqltext))) == set(LEGAL)  # type: ignore[attr-defined]
    assert {name for name in LEGAL if "cancelled" in LEGAL[name]} == ACTIVE
