"""Dependants: who may book for whom, and who sees what of it."""

from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest

from carelane.patient.v1 import dependant_pb2 as pb
from tests.refusal import refused
from tests.world import Person, World, tomorrow

HOUR = timedelta(hours=1)


async def add(world: World, guardian: Person, **fields: Any) -> Any:
    usual = {"request_id": uuid4(), "full_name": "Kiran Rao", "relation": pb.RELATION_CHILD}
    return (await world.call("AddDependant", guardian, **(usual | fields))).dependant


async def end(world: World, guardian: Person, patient_id: str, **fields: Any) -> Any:
    fields = {"request_id": uuid4(), "patient_id": patient_id} | fields
    return (await world.call("EndDependant", guardian, **fields)).dependant


async def names(world: World, guardian: Person, **fields: Any) -> list[str]:
    answer = await world.call("ListDependants", guardian, **fields)
    return [each.full_name for each in answer.dependants]


async def test_a_person_adds_lists_and_ends_dependants(world: World) -> None:
    guardian = await world.person()
    kiran = await add(world, guardian, birth_date=date(2019, 2, 28))
    assert (kiran.full_name, kiran.relation) == ("Kiran Rao", pb.RELATION_CHILD)
    assert (kiran.birth_date.year, kiran.birth_date.day) == (2019, 28)
    await add(world, guardian, full_name="Leela Rao", relation=pb.RELATION_PARENT)
    assert await names(world, guardian) == ["Kiran Rao", "Leela Rao"]
    ended = await end(world, guardian, kiran.patient_id)
    assert ended.HasField("end_time")
    assert await end(world, guardian, kiran.patient_id) == ended
    assert await names(world, guardian) == ["Leela Rao"]
    assert await names(world, guardian, include_ended=True) == ["Kiran Rao", "Leela Rao"]


async def test_pages_hold_every_dependant_once(world: World) -> None:
    guardian = await world.person()
    for number in range(3):
        await add(world, guardian, full_name=f"Child {number}")
    first = await world.call("ListDependants", guardian, page_size=2)
    assert [each.full_name for each in first.dependants] == ["Child 0", "Child 1"]
    assert await names(world, guardian, page_size=2, page_token=first.next_page_token) == [
        "Child 2"
    ]


async def test_others_neither_see_nor_end_a_dependant(world: World) -> None:
    guardian, other = await world.person(), await world.person()
    kiran = await add(world, guardian)
    assert await names(world, other) == []
    for patient_id in (kiran.patient_id, str(other.user_id), str(uuid4())):
        refusal = await refused(end(world, other, patient_id))
        assert refusal.code is grpc.StatusCode.NOT_FOUND


async def test_a_repeated_request_adds_once(world: World) -> None:
    guardian, once = await world.person(), uuid4()
    first = await add(world, guardian, request_id=once)
    assert await add(world, guardian, request_id=once) == first
    refusal = await refused(add(world, guardian, request_id=once, full_name="Leela Rao"))
    assert refusal.reason == "REQUEST_ID_REUSED"
    assert await names(world, guardian) == ["Kiran Rao"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("full_name", ""),
        ("full_name", "  "),
        ("full_name", "Kiran\r\nRao"),
        ("full_name", "Kiran\x07"),
        ("relation", 0),
        ("request_id", "7"),
        ("birth_date", date(2199, 1, 1)),
    ],
)
async def test_an_invalid_field_is_named(world: World, field: str, value: Any) -> None:
    refusal = await refused(add(world, await world.person(), **{field: value}))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(refusal.fields) == [field]


@pytest.mark.parametrize("rpc_name", ["AddDependant", "ListDependants", "EndDependant"])
async def test_dependants_need_a_patient(world: World, rpc_name: str) -> None:
    assert (await refused(world.call(rpc_name))).code is grpc.StatusCode.UNAUTHENTICATED
    doctor = await world.person("doctor")
    assert (await refused(world.call(rpc_name, doctor))).code is grpc.StatusCode.PERMISSION_DENIED


async def test_there_are_at_most_twenty(world: World) -> None:
    guardian = await world.person()
    added = [await add(world, guardian) for _ in range(20)]
    refusal = await refused(add(world, guardian))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "TOO_MANY_DEPENDANTS",
    )
    await end(world, guardian, added[0].patient_id)
    await add(world, guardian)


async def test_a_guardian_books_sees_moves_and_cancels_for_a_dependant(world: World) -> None:
    guardian, practice = await world.person(), await world.practice()
    kiran = await add(world, guardian)
    start = practice.at(tomorrow(practice), 10)
    visit = await world.book(guardian, practice, start, patient_id=kiran.patient_id)
    assert (visit.patient.patient_id, visit.patient.full_name) == (kiran.patient_id, "Kiran Rao")
    assert visit.patient.phone == "+918047101000"
    own = await world.book(guardian, practice, start + HOUR)
    listed = await world.call("ListAppointments", guardian)
    assert {each.appointment_id for each in listed.appointments} == {
        visit.appointment_id,
        own.appointment_id,
    }
    listed = await world.call("ListAppointments", guardian, patient_id=kiran.patient_id)
    assert [each.appointment_id for each in listed.appointments] == [visit.appointment_id]
    of_visit = {"appointment_id": visit.appointment_id}
    moved = await world.call(
        "RescheduleAppointment",
        guardian,
        request_id=uuid4(),
        start_time=start + 2 * HOUR,
        **of_visit,
    )
    assert moved.appointment.previous_start_time == visit.start_time
    called_off = await world.call("CancelAppointment", guardian, request_id=uuid4(), **of_visit)
    assert called_off.appointment.cancelled_by == 1


async def test_guardian_and_dependant_are_treated_at_the_same_time(world: World) -> None:
    guardian, one, other = await world.person(), await world.practice(), await world.practice()
    kiran, start = await add(world, guardian), one.at(tomorrow(one), 10)
    await world.book(guardian, one, start)
    await world.book(guardian, other, start, patient_id=kiran.patient_id)
    third = await world.practice()
    refusal = await refused(world.book(guardian, third, start, patient_id=kiran.patient_id))
    assert refusal.reason == "PATIENT_BUSY"


async def test_nobody_books_for_another_s_dependant_nor_for_one_who_was_ended(
    world: World,
) -> None:
    guardian, other, practice = await world.person(), await world.person(), await world.practice()
    kiran, start = await add(world, guardian), practice.at(tomorrow(practice), 10)
    for who, patient_id in (
        (other, kiran.patient_id),
        (other, guardian.user_id),
        (guardian, uuid4()),
    ):
        refusal = await refused(world.book(who, practice, start, patient_id=patient_id))
        assert refusal.code is grpc.StatusCode.NOT_FOUND
    await end(world, guardian, kiran.patient_id)
    refusal = await refused(world.book(guardian, practice, start, patient_id=kiran.patient_id))
    assert refusal.code is grpc.StatusCode.NOT_FOUND
    await world.book(other, practice, start)


async def test_the_clinic_sees_the_dependant_and_others_see_nothing(world: World) -> None:
    guardian, practice = await world.person(), await world.practice()
    kiran = await add(world, guardian)
    start = practice.at(tomorrow(practice), 10)
    visit = await world.book(guardian, practice, start, patient_id=kiran.patient_id)
    of_visit = {"appointment_id": visit.appointment_id}
    for person in (practice.doctor, practice.owner, await world.front_desk(practice)):
        seen = (await world.call("GetAppointment", person, **of_visit)).appointment
        assert (seen.patient.full_name, seen.patient.phone) == ("Kiran Rao", "+918047101000")
    for stranger in (await world.person(), (await world.practice()).doctor):
        refusal = await refused(world.call("GetAppointment", stranger, **of_visit))
        assert refusal.code is grpc.StatusCode.NOT_FOUND
