"""What the audit says of each act and each reading, and who may know."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import asyncpg
import grpc
import pytest

from carelane.audit.v1 import audit_pb2 as pb
from carelane.directory.v1 import clinic_pb2
from carelane.patient.v1 import dependant_pb2
from server.core.ids import new_id
from server.core.writes import Writes
from tests.refusal import refused
from tests.world import Person, PracticeOf, World, tomorrow

HOUR = timedelta(hours=1)
FRONT_DESK, MANAGER = clinic_pb2.CLINIC_ROLE_FRONT_DESK, clinic_pb2.CLINIC_ROLE_MANAGER
LISTS = ("ListAuditEntries", "ListClinicAuditEntries", "ListMyAccess")


class Case:
    """A visit that a patient booked, the people around it, and an administrator."""

    def __init__(self, world: World, at: PracticeOf, patient: Person, visit: Any) -> None:
        self.world, self.at, self.patient, self.visit = world, at, patient, visit
        self.admin = Person(uuid4(), "admin")

    @property
    def start(self) -> datetime:
        return self.at.at(tomorrow(self.at), 10)

    async def change(self, name: str, person: Person, **fields: Any) -> Any:
        fields |= {"request_id": uuid4(), "appointment_id": self.visit.appointment_id}
        return await self.world.call(name, person, **fields)

    async def entries(self, **filter_: Any) -> list[pb.AuditEntry]:
        at = {"clinic_id": self.at.clinic_id}
        answer = await self.world.call("ListAuditEntries", self.admin, **at, filter=filter_)
        return list(answer.entries)

    async def acts(self, **filter_: Any) -> list[str]:
        return [entry.act for entry in await self.entries(**filter_)]

    async def of_visit(self) -> list[pb.AuditEntry]:
        return await self.entries(object_id=self.visit.appointment_id)

    async def access(self, person: Person) -> list[pb.AccessEntry]:
        return list((await self.world.call("ListMyAccess", person)).entries)


@pytest.fixture
async def case(world: World) -> Case:
    at, patient = await world.practice(), await world.person()
    visit = await world.book(patient, at, at.at(tomorrow(at), 10))
    return Case(world, at, patient, visit)


async def test_an_entry_says_who_did_what_to_what_where_and_in_which_call(case: Case) -> None:
    (entry,) = await case.of_visit()
    assert (entry.act, entry.object_kind) == ("appointment.booked", "appointment")
    assert entry.actor_id == str(case.patient.user_id)
    assert entry.clinic_id == str(case.at.clinic_id)
    assert entry.patient_ids == [str(case.patient.user_id)]
    assert entry.on_behalf_of_id == ""
    assert entry.request_id


async def test_values_before_and_after_are_kept_of_what_is_not_personal(case: Case) -> None:
    start = case.start
    await case.change("RescheduleAppointment", case.patient, start_time=start + HOUR)
    await case.change("CancelAppointment", case.patient, reason="Fever since Monday")
    cancelled, moved, booked = await case.of_visit()
    assert booked.changes == [pb.FieldChange(field="status", after="booked")]
    as_text = [each.astimezone(UTC).isoformat() for each in (start, start + HOUR)]
    assert moved.changes[0] == pb.FieldChange(
        field="start_time", before=as_text[0], after=as_text[1]
    )
    assert cancelled.changes == [
        pb.FieldChange(field="status", before="booked", after="cancelled"),
        pb.FieldChange(field="cancel_reason"),
    ]


async def test_what_people_write_is_in_no_entry(case: Case) -> None:
    await case.change("CancelAppointment", case.patient, reason="Fever since Monday")
    assert "Fever" not in str(await case.of_visit()) + str(await case.access(case.patient))


@pytest.mark.parametrize("value", ["Fever", "asha@mail.example", "+918047101000", b"x", 1.5, [1]])
def test_a_text_that_is_no_state_cannot_be_kept(value: Any) -> None:
    with pytest.raises(TypeError):
        Writes().record("user.edited", uuid4(), fields={"full_name": (None, value)})


def test_states_numbers_times_and_ids_are_kept(clock: Any) -> None:
    writes, now, thing = Writes(), clock.now(), new_id(clock.now())
    fields = {"a": (None, "in_consultation"), "b": (1, Decimal("2.5")), "c": (now, thing)}
    writes.record("x.y", thing, fields=fields | {"name": None})
    assert writes._changes[0]["changes"] == {
        "a": [None, "in_consultation"],
        "b": [1, "2.5"],
        "c": [now.isoformat(), str(thing)],
    }
    assert writes._changes[0]["fields"] == ["a", "b", "c", "name"]


async def test_who_acts_for_a_dependant_is_written_down_with_both(case: Case) -> None:
    child = (
        await case.world.call(
            "AddDependant",
            case.patient,
            request_id=uuid4(),
            full_name="Kiran Rao",
            relation=dependant_pb2.RELATION_CHILD,
        )
    ).dependant.patient_id
    visit = await case.world.book(case.patient, case.at, case.start + HOUR, patient_id=child)
    (entry,) = await case.entries(object_id=visit.appointment_id)
    assert (entry.actor_id, entry.on_behalf_of_id) == (str(case.patient.user_id), child)
    assert entry.patient_ids == [child]
    assert {tuple(each.patient_ids) for each in await case.access(case.patient)} >= {(child,)}


async def test_who_works_at_a_clinic_in_which_role_is_written_down(case: Case) -> None:
    person, at = await case.world.person(), {"clinic_id": case.at.clinic_id}
    joined = at | {"email": f"{person.user_id.hex}@mail.example", "role": FRONT_DESK}
    await case.world.call("AddClinicMember", case.at.owner, request_id=uuid4(), **joined)
    changed = at | {"user_id": person.user_id, "role": MANAGER}
    await case.world.call("UpdateClinicMember", case.at.owner, request_id=uuid4(), **changed)
    change, join = await case.entries(object_kind="clinic")
    assert join.changes == [
        pb.FieldChange(field="user_id", after=str(person.user_id)),
        pb.FieldChange(field="role", after="front_desk"),
    ]
    assert change.changes[1] == pb.FieldChange(field="role", before="front_desk", after="manager")


async def test_reading_the_visit_of_another_is_written_down(case: Case) -> None:
    desk = await case.world.front_desk(case.at)
    for reader in (case.patient, desk, case.at.doctor):
        await case.world.call("GetAppointment", reader, appointment_id=case.visit.appointment_id)
    doctors, desks, _ = await case.of_visit()
    assert (desks.act, desks.actor_id) == ("appointment.read", str(desk.user_id))
    assert (doctors.act, doctors.actor_id) == ("appointment.read", str(case.at.doctor.user_id))
    assert desks.patient_ids == [str(case.patient.user_id)]


async def test_a_list_of_many_is_one_entry_with_each_patient_once(case: Case) -> None:
    other = await case.world.person()
    for hour, person in ((11, other), (12, case.patient)):
        await case.world.book(person, case.at, case.at.at(tomorrow(case.at), hour))
    await case.world.call("ListDoctorAppointments", case.at.doctor, days=7)
    (entry,) = await case.entries(act="schedule.read")
    assert sorted(entry.patient_ids) == sorted(str(each.user_id) for each in (case.patient, other))


async def test_a_list_without_patients_leaves_nothing(case: Case) -> None:
    owner = case.at.owner
    await case.world.call("ListDoctorAppointments", owner, days=1)
    await case.world.call("ListAppointments", case.patient)
    assert await case.acts(act="schedule.read") == []


async def test_each_filter_narrows(case: Case, clock: Any) -> None:
    await case.change("ConfirmAppointment", case.at.doctor)
    doctor, (confirmed, booked) = case.at.doctor, await case.of_visit()
    thing = {"object_id": case.visit.appointment_id}
    assert await case.acts(**thing, actor_id=str(doctor.user_id)) == [confirmed.act]
    assert await case.acts(**thing, act="appointment.booked") == [booked.act]
    assert await case.acts(**thing, object_kind="session") == []
    assert await case.acts(**thing, object_kind="appointment") == [confirmed.act, booked.act]
    assert await case.acts(request_id=confirmed.request_id) == [confirmed.act]
    assert await case.acts(**thing, from_time=confirmed.create_time) == [confirmed.act]
    assert await case.acts(**thing, until_time=confirmed.create_time) == [booked.act]
    at = await case.world.call("ListAuditEntries", case.admin, clinic_id=case.at.clinic_id)
    assert {entry.clinic_id for entry in at.entries} == {str(case.at.clinic_id)}


@pytest.mark.parametrize("rpc_name", LISTS)
async def test_pages_hold_every_entry_once(case: Case, rpc_name: str) -> None:
    for hour in (11, 12):
        await case.world.book(case.patient, case.at, case.at.at(tomorrow(case.at), hour))
    reader, fields = {
        "ListAuditEntries": (case.admin, {"clinic_id": case.at.clinic_id}),
        "ListClinicAuditEntries": (case.at.owner, {"clinic_id": case.at.clinic_id}),
        "ListMyAccess": (case.patient, {}),
    }[rpc_name]
    whole = await case.world.call(rpc_name, reader, **fields)
    found, token = [], ""
    while not found or token:
        page = await case.world.call(rpc_name, reader, **fields, page_size=2, page_token=token)
        found += page.entries
        token = page.next_page_token
    assert found == list(whole.entries)
    assert len(found) >= 3


async def test_a_patient_sees_who_read_and_changed_what_is_theirs(case: Case) -> None:
    desk, other = await case.world.front_desk(case.at), await case.world.person()
    await case.world.book(other, case.at, case.start + HOUR)
    await case.change("ConfirmAppointment", case.at.doctor)
    await case.world.call("ListDoctorAppointments", desk, clinic_id=case.at.clinic_id, days=7)
    read, confirmed, booked = await case.access(case.patient)
    assert (booked.party, booked.act) == (pb.ACCESS_PARTY_SELF, "appointment.booked")
    assert (confirmed.party, confirmed.doctor_name) == (
        pb.ACCESS_PARTY_DOCTOR,
        "Dr. Meera Nair",
    )
    assert confirmed.fields == ["confirm_time"]
    assert (read.party, read.act, read.clinic_name) == (
        pb.ACCESS_PARTY_CLINIC,
        "schedule.read",
        "Lakeside Clinic",
    )
    assert read.patient_ids == [str(case.patient.user_id)]
    assert {entry.object_id for entry in await case.access(other)}.isdisjoint(
        {case.visit.appointment_id}
    )


async def test_an_owner_sees_the_entries_of_their_clinic_alone(case: Case) -> None:
    elsewhere = await case.world.practice()
    await case.world.book(case.patient, elsewhere, elsewhere.at(tomorrow(elsewhere), 15))
    clinic = {"clinic_id": case.at.clinic_id}
    seen = await case.world.call("ListClinicAuditEntries", case.at.owner, **clinic)
    assert {entry.clinic_id for entry in seen.entries} == {str(case.at.clinic_id)}
    assert case.visit.appointment_id in {entry.object_id for entry in seen.entries}


async def test_nobody_but_its_owner_reads_the_entries_of_a_clinic(case: Case) -> None:
    desk, elsewhere = await case.world.front_desk(case.at), await case.world.practice()
    for person in (desk, case.at.doctor, case.patient, elsewhere.owner, case.admin):
        refusal = await refused(
            case.world.call("ListClinicAuditEntries", person, clinic_id=case.at.clinic_id)
        )
        assert refusal.code == grpc.StatusCode.NOT_FOUND
    absent = await refused(
        case.world.call("ListClinicAuditEntries", case.at.owner, clinic_id=uuid4())
    )
    assert absent.text == refusal.text


async def test_the_whole_audit_is_for_administrators_alone(case: Case) -> None:
    for person in (case.at.owner, case.at.doctor, case.patient):
        refusal = await refused(case.world.call("ListAuditEntries", person))
        assert refusal.code == grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("rpc_name", LISTS)
async def test_nobody_reads_the_audit_without_a_token(world: World, rpc_name: str) -> None:
    fields = {"clinic_id": uuid4()} if rpc_name == "ListClinicAuditEntries" else {}
    refusal = await refused(world.call(rpc_name, **fields))
    assert refusal.code == grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize(
    ("rpc_name", "fields", "field"),
    [
        ("ListAuditEntries", {"filter": {"actor_id": "x"}}, "filter.actor_id"),
        ("ListAuditEntries", {"clinic_id": "x"}, "clinic_id"),
        ("ListAuditEntries", {"filter": {"from_time": {"seconds": 10**12}}}, "from_time"),
        ("ListAuditEntries", {"page_token": "x"}, "page_token"),
        ("ListClinicAuditEntries", {}, "clinic_id"),
        ("ListClinicAuditEntries", {"clinic_id": str(uuid4()), "page_size": -1}, "page_size"),
        ("ListMyAccess", {"page_token": "x"}, "page_token"),
    ],
)
async def test_an_invalid_field_is_named(
    world: World, rpc_name: str, fields: dict[str, Any], field: str
) -> None:
    refusal = await refused(world.call(rpc_name, Person(uuid4(), "admin"), **fields))
    assert refusal.code == grpc.StatusCode.INVALID_ARGUMENT
    assert [name.endswith(field) for name in refusal.fields] == [True]


async def test_a_page_token_is_of_its_reader_and_filter_alone(case: Case) -> None:
    await case.change("ConfirmAppointment", case.at.doctor)
    first = await case.world.call("ListAuditEntries", case.admin, page_size=1)
    token = {"page_token": first.next_page_token}
    for reader, more in ((Person(uuid4(), "admin"), {}), (case.admin, {"filter": {"act": "x"}})):
        refusal = await refused(case.world.call("ListAuditEntries", reader, **token, **more))
        assert refusal.reason == "INVALID_PAGE_TOKEN"


async def test_a_reading_that_is_written_down_takes_no_round_trip_more(
    live_world: World, monkeypatch: Any
) -> None:
    at, patient = await live_world.practice(), await live_world.person()
    visit = await live_world.book(patient, at, at.at(tomorrow(at), 11))
    trips: list[str] = []
    count_trips(monkeypatch, trips)
    for reader in (patient, at.doctor):
        await live_world.call("GetAppointment", reader, appointment_id=visit.appointment_id)
    assert len(trips) == 6, trips
    assert "record_changes" in trips[-1]


def count_trips(monkeypatch: Any, trips: list[str]) -> None:
    """Note each statement that goes to the database."""
    for name in ("execute", "fetch", "fetchrow"):
        original = getattr(asyncpg.Connection, name)

        async def counted(self: Any, query: str, *args: Any, _run: Any = original) -> Any:
            trips.append(query)
            return await _run(self, query, *args)

        monkeypatch.setattr(asyncpg.Connection, name, counted)
