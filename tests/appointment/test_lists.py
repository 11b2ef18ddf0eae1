"""Lists of visits, from both sides."""

from datetime import timedelta
from typing import Any

import grpc
import pytest

from carelane.appointment.v1 import appointment_pb2 as pb
from carelane.appointment.v1 import appointment_service_pb2 as service_pb
from server.core.clock import MovableClock
from tests.refusal import refused
from tests.world import Person, World, tomorrow


def _starts(answer: Any) -> list[int]:
    return [visit.start_time.seconds for visit in answer.appointments]


async def _book_day(world: World, practice: Any, hours: range, patient: Person) -> list[int]:
    day = tomorrow(practice)
    visits = [await world.book(patient, practice, practice.at(day, hour)) for hour in hours]
    return [visit.start_time.seconds for visit in visits]


async def test_a_patient_sees_their_own_visits_the_latest_first(world: World) -> None:
    practice, patient = await world.practice(), await world.person()
    starts = await _book_day(world, practice, range(9, 12), patient)
    await _book_day(world, practice, range(13, 15), await world.person())
    answer = await world.call("ListAppointments", patient)
    assert _starts(answer) == starts[::-1]
    earliest = await world.call(
        "ListAppointments", patient, order=service_pb.APPOINTMENT_ORDER_EARLIEST
    )
    assert _starts(earliest) == starts


@pytest.mark.parametrize("order", [0, 1, 2])
async def test_pages_hold_every_visit_once(world: World, order: Any) -> None:
    practice, patient = await world.practice(), await world.person()
    starts = await _book_day(world, practice, range(9, 16), patient)
    seen: list[int] = []
    token = ""
    for _ in range(4):
        page = await world.call(
            "ListAppointments", patient, order=order, page_size=2, page_token=token
        )
        seen += _starts(page)
        token = page.next_page_token
    assert not token
    assert seen == (starts if order == 2 else starts[::-1])


async def test_visits_are_filtered_by_state_and_time(world: World) -> None:
    practice, patient = await world.practice(), await world.person()
    day = tomorrow(practice)
    nine, ten, _ = await _book_day(world, practice, range(9, 12), patient)
    visit = (await world.call("ListAppointments", patient)).appointments[0]
    await world.call(
        "CancelAppointment",
        patient,
        request_id="0190b6a0-0000-7000-8000-000000000001",
        appointment_id=visit.appointment_id,
    )
    booked = await world.call("ListAppointments", patient, statuses=[pb.APPOINTMENT_STATUS_BOOKED])
    assert _starts(booked) == [ten, nine]
    window = await world.call(
        "ListAppointments",
        patient,
        from_time=practice.at(day, 9, 30),
        until_time=practice.at(day, 11),
    )
    assert _starts(window) == [ten]


async def test_a_page_token_is_of_its_own_list_and_person(world: World) -> None:
    practice, patient = await world.practice(), await world.person()
    await _book_day(world, practice, range(9, 12), patient)
    token = (await world.call("ListAppointments", patient, page_size=1)).next_page_token
    forged = ("B" if token[0] == "A" else "A") + token[1:]
    for person, fields in (
        (await world.person(), {}),
        (patient, {"statuses": [pb.APPOINTMENT_STATUS_BOOKED]}),
        (patient, {"page_token": forged}),
    ):
        refusal = await refused(
            world.call("ListAppointments", person, **({"page_token": token} | fields))
        )
        assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
        assert refusal.reason == "INVALID_PAGE_TOKEN"


async def test_a_doctor_sees_the_day_at_every_clinic(world: World) -> None:
    here = await world.practice()
    there = await world.practice(doctor=here.doctor)
    day = tomorrow(here)
    first = await world.book(await world.person(), here, here.at(day, 9))
    second = await world.book(await world.person(), there, there.at(day, 11))
    await world.book(await world.person(), here, here.at(day + timedelta(days=1), 9))
    answer = await world.call("ListDoctorAppointments", here.doctor, from_date=day)
    assert [visit.appointment_id for visit in answer.appointments] == [
        first.appointment_id,
        second.appointment_id,
    ]
    both = await world.call("ListDoctorAppointments", here.doctor, from_date=day, days=2)
    assert len(both.appointments) == 3
    one = await world.call(
        "ListDoctorAppointments", here.doctor, from_date=day, clinic_id=there.clinic_id
    )
    assert [visit.clinic_id for visit in one.appointments] == [str(there.clinic_id)]


async def test_the_front_desk_sees_its_clinic_and_no_other(world: World) -> None:
    here = await world.practice()
    there = await world.practice(doctor=here.doctor)
    day = tomorrow(here)
    mine = await world.book(await world.person(), here, here.at(day, 9))
    await world.book(await world.person(), there, there.at(day, 11))
    desk = await world.front_desk(here)
    for fields in ({}, {"doctor_id": here.doctor.user_id}, {"clinic_id": here.clinic_id}):
        answer = await world.call("ListDoctorAppointments", desk, from_date=day, **fields)
        assert [visit.appointment_id for visit in answer.appointments] == [mine.appointment_id]
    foreign = await world.call(
        "ListDoctorAppointments", desk, from_date=day, clinic_id=there.clinic_id
    )
    assert not foreign.appointments


async def test_a_patient_has_no_schedule(world: World) -> None:
    practice, patient = await world.practice(), await world.person()
    await _book_day(world, practice, range(9, 10), patient)
    answer = await world.call("ListDoctorAppointments", patient, from_date=tomorrow(practice))
    assert not answer.appointments


async def test_without_a_day_it_is_today_at_each_clinic(world: World, clock: MovableClock) -> None:
    kochi = await world.practice()
    auckland = await world.practice(doctor=kochi.doctor, zone="Pacific/Auckland")
    day = tomorrow(kochi)
    clock.set(kochi.at(day, 6))  # 13:30 of the same day in Auckland, in summer
    mine = await world.book(await world.person(), kochi, kochi.at(day, 9))
    theirs = await world.book(await world.person(), auckland, auckland.at(day, 15))
    await world.book(await world.person(), auckland, auckland.at(day + timedelta(days=1), 9))
    answer = await world.call("ListDoctorAppointments", kochi.doctor)
    assert {visit.appointment_id for visit in answer.appointments} == {
        mine.appointment_id,
        theirs.appointment_id,
    }


async def test_schedule_pages_hold_every_visit_once(world: World) -> None:
    practice = await world.practice()
    starts = await _book_day(world, practice, range(9, 16), await world.person())
    seen: list[int] = []
    token = ""
    for _ in range(4):
        page = await world.call(
            "ListDoctorAppointments",
            practice.doctor,
            from_date=tomorrow(practice),
            page_size=2,
            page_token=token,
        )
        seen += _starts(page)
        token = page.next_page_token
    assert (seen, token) == (starts, "")


@pytest.mark.parametrize("rpc_name", ["ListAppointments", "ListDoctorAppointments"])
async def test_lists_need_a_token(world: World, rpc_name: str) -> None:
    refusal = await refused(world.call(rpc_name))
    assert refusal.code is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize(
    ("rpc_name", "field", "value"),
    [
        ("ListAppointments", "page_size", -1),
        ("ListAppointments", "order", 99),
        ("ListDoctorAppointments", "days", 63),
        ("ListDoctorAppointments", "clinic_id", "mine"),
    ],
)
async def test_an_invalid_field_of_a_list_is_named(
    world: World, rpc_name: str, field: str, value: Any
) -> None:
    refusal = await refused(world.call(rpc_name, await world.person(), **{field: value}))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(refusal.fields) == [field]
