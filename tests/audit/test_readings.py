"""Whatever shows patients to a clinic is written down, and no RPC that does is forgotten."""

from datetime import UTC, timedelta
from typing import Any
from uuid import uuid4

import pytest
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

from bff.operation import rpc_of
from bff.routes import ROUTES
from carelane.queue.v1 import queue_service_pb2 as queue_pb
from carelane.queue.v1 import queue_service_pb2_grpc
from server.core.clock import MovableClock
from tests.world import Person, PracticeOf, World, tomorrow

# What is shown by each RPC that reads patients of others.
READINGS = {
    "GetAppointment": "appointment.read",
    "GetAppointmentCalendar": "appointment.read",
    "ListDoctorAppointments": "schedule.read",
    "ReadCalendarFeed": "calendar_feed.read",
    "GetQueue": "queue.read",
    "WatchQueue": "queue.read",
    "ListWaitlist": "waitlist.read",
    "ExplainTime": "time.explained",
}
OWN = {"ListAppointments", "ListDependants", "ListMyWaitlist", "ListMyAccess"}
OF_THE_AUDIT = {"ListAuditEntries", "ListClinicAuditEntries", "ExportAudit"}
TELLING = {"patient", "patient_id", "patient_ids", "patient_name", "calendar"}


def names_of(message: Descriptor, seen: frozenset[str] = frozenset()) -> set[str]:
    """Answer the names of all fields in a message and in those inside it."""
    if message.full_name in seen:
        return set()
    found = set()
    for field in message.fields:
        found.add(field.name)
        if field.message_type is not None:
            found |= names_of(field.message_type, seen | {message.full_name})
    return found


def reads_only(rpc: MethodDescriptor) -> bool:
    return rpc.GetOptions().idempotency_level == MethodOptions.NO_SIDE_EFFECTS


def test_every_rpc_that_shows_patients_is_known_here() -> None:
    rpcs = [rpc_of(route) for route in ROUTES]
    showing = {rpc.name for rpc in rpcs if reads_only(rpc) and names_of(rpc.output_type) & TELLING}
    assert showing == READINGS.keys() | OWN | OF_THE_AUDIT


@pytest.fixture
async def at(world: World, clock: MovableClock) -> PracticeOf:
    """A practice on the morning of a day with visits."""
    made = await world.practice()
    clock.set(made.at(tomorrow(made), 8).astimezone(UTC))
    return made


async def read(world: World, rpc_name: str, at: PracticeOf, visit: Any) -> None:
    """Read as the practice's doctor."""
    named = {"appointment_id": visit.appointment_id}
    fields: dict[str, Any] = {
        "GetAppointment": named,
        "GetAppointmentCalendar": named,
        "ListDoctorAppointments": {"days": 3},
        "ExplainTime": {"practice_id": at.practice_id, "start_time": visit.start_time},
    }.get(rpc_name, {"practice_id": at.practice_id})
    if rpc_name == "ReadCalendarFeed":
        made = await world.call("RotateCalendarFeed", at.doctor, request_id=uuid4())
        fields = {"token": made.token}
    if rpc_name == "WatchQueue":
        await watch(world, at)
    else:
        await world.call(rpc_name, at.doctor, **fields)


async def watch(world: World, at: PracticeOf) -> None:
    """Watch the queue until it is shown for the first time."""
    stub = queue_service_pb2_grpc.QueueServiceStub(world.channel)
    call = stub.WatchQueue(
        queue_pb.WatchQueueRequest(practice_id=str(at.practice_id)),
        metadata=[("authorization", f"Bearer {at.doctor.token}")],
    )
    await call.read()
    call.cancel()


@pytest.mark.parametrize("rpc_name", READINGS)
async def test_a_reading_names_who_was_shown(
    world: World, at: PracticeOf, clock: MovableClock, rpc_name: str
) -> None:
    patient = await world.person()
    visit = await world.book(patient, at, at.at(clock.now().astimezone(at.zone).date(), 10))
    if rpc_name == "ListWaitlist":
        until = (clock.now() + timedelta(days=9)).date()
        wish = {"practice_id": at.practice_id, "until_date": until, "request_id": uuid4()}
        await world.call("JoinWaitlist", patient, **wish)
    await read(world, rpc_name, at, visit)
    wanted = {"clinic_id": at.clinic_id, "filter": {"act": READINGS[rpc_name]}}
    found = await world.call("ListAuditEntries", Person(uuid4(), "admin"), **wanted)
    (entry,) = found.entries
    assert entry.actor_id == str(at.doctor.user_id)
    assert entry.clinic_id == str(at.clinic_id)
    assert entry.patient_ids == [str(patient.user_id)]
    assert not entry.changes
