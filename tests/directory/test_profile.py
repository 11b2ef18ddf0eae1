"""A doctor's own profile, the clinic that comes with it, and what each change asks for."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import grpc
import pytest
from google.type.money_pb2 import Money

from carelane.directory.v1 import clinic_pb2, doctor_profile_pb2
from server.core.access import Caller
from server.core.clock import MovableClock
from server.core.db import Database
from server.directory import verification
from server.directory.clinics import MOST_PRACTICES
from tests.refusal import refused
from tests.world import Person, World

PENDING = doctor_profile_pb2.VERIFICATION_STATUS_PENDING
VERIFIED = doctor_profile_pb2.VERIFICATION_STATUS_VERIFIED
REJECTED = doctor_profile_pb2.VERIFICATION_STATUS_REJECTED
ADMIN = Person(uuid4(), "admin")
RUPEES = Money(currency_code="INR", units=600)


class Desk:
    """Fills in the form of a profile."""

    def __init__(self, specialties: list[str], city: str) -> None:
        self.specialties = specialties
        self.city = city

    def form(self, **changes: Any) -> dict[str, Any]:
        """Answer the fields of a valid request, with a licence of its own."""
        usual = {
            "request_id": uuid4(),
            "full_name": "Dr. Meera Nair",
            "specialties": self.specialties[:2],
            "qualifications": "MBBS, MD",
            "practising_since": 2010,
            "languages": ["en", "ml"],
            "licence_number": f"KMC {uuid4().hex}",
            "licence_council": "Karnataka Medical Council",
            "licence_year": 2009,
        }
        return usual | changes

    def opening(self, **changes: Any) -> dict[str, Any]:
        """Answer the fields that open a clinic."""
        clinic = {"name": "Lakeside", "address": "1 Lake Road", "city": self.city}
        usual = {"new_clinic": clinic | changes.pop("clinic", {}), "fee": RUPEES}
        return self.form(**(usual | changes))


@pytest.fixture
def desk(specialties: list[str], city: str) -> Desk:
    return Desk(specialties, city)


@pytest.fixture
async def doctor(world: World) -> Person:
    return await world.person("doctor")


async def upsert(world: World, doctor: Person, form: dict[str, Any]) -> Any:
    return (await world.call("UpsertDoctorProfile", doctor, **form)).profile


async def decide(
    world: World, doctor: Person, decision: verification.Decision, reason: str = ""
) -> Any:
    async with world.db.transaction(ADMIN.caller) as tx:
        return await verification.decide(
            tx, doctor_id=doctor.user_id, decision=decision, reason=reason
        )


async def test_the_first_profile_waits_for_verification(
    world: World, doctor: Person, desk: Desk
) -> None:
    form = desk.form(bio=" Listens. ", full_name="  Dr.  Meera   Nair ")
    made = await upsert(world, doctor, form)
    assert made.doctor.doctor_id == str(doctor.user_id)
    assert made.doctor.full_name == "Dr. Meera Nair"
    assert list(made.doctor.specialties) == desk.specialties[:2]
    assert list(made.doctor.specialty_names) == [s.title() for s in desk.specialties[:2]]
    assert list(made.doctor.languages) == ["en", "ml"]
    assert made.doctor.bio == "Listens."
    assert made.licence.number == form["licence_number"]
    assert (made.licence.council, made.licence.year) == (form["licence_council"], 2009)
    assert made.verification_status == PENDING
    assert made.etag
    assert (await world.call("GetDoctorProfile", doctor)).profile == made


async def test_before_the_first_profile_there_is_none(world: World, doctor: Person) -> None:
    refusal = await refused(world.call("GetDoctorProfile", doctor))
    assert refusal.code is grpc.StatusCode.NOT_FOUND


async def test_an_unverified_doctor_is_seen_by_nobody_else(
    world: World, doctor: Person, desk: Desk
) -> None:
    await upsert(world, doctor, desk.opening())
    refusal = await refused(world.call("GetDoctor", doctor, doctor_id=doctor.user_id))
    found = await world.call("SearchDoctors", specialties=desk.specialties)
    assert refusal.code is grpc.StatusCode.NOT_FOUND
    assert not found.doctors


async def test_an_edit_replaces_the_whole_profile_and_keeps_the_verification(
    world: World, doctor: Person, desk: Desk
) -> None:
    form = desk.form(bio="Old.")
    before = await upsert(world, doctor, form)
    await decide(world, doctor, "verified")
    form |= {"request_id": uuid4(), "bio": "", "languages": ["hi"], "practising_since": 2012}
    form["specialties"] = desk.specialties[2:]
    after = await upsert(world, doctor, form)
    assert after.verification_status == VERIFIED
    assert (after.doctor.bio, list(after.doctor.languages)) == ("", ["hi"])
    assert (after.practising_since, list(after.doctor.specialties)) == (2012, desk.specialties[2:])
    assert after.etag != before.etag
    assert after.create_time == before.create_time


async def test_the_same_profile_again_changes_nothing(
    world: World, doctor: Person, desk: Desk, clock: MovableClock
) -> None:
    form = desk.form()
    before = await upsert(world, doctor, form)
    clock.advance(timedelta(hours=1))
    assert await upsert(world, doctor, form | {"request_id": uuid4()}) == before


@pytest.mark.parametrize(
    "change",
    [{"licence_number": "NEW 1"}, {"licence_council": "Delhi Council"}, {"licence_year": 2011}],
)
async def test_a_change_of_the_licence_asks_for_verification_again(
    world: World, doctor: Person, desk: Desk, change: dict[str, Any]
) -> None:
    form = desk.opening()
    await upsert(world, doctor, form)
    await decide(world, doctor, "verified")
    assert (await world.call("GetDoctor", doctor_id=doctor.user_id)).doctor.full_name
    for field in ("new_clinic", "fee"):
        del form[field]
    after = await upsert(world, doctor, form | {"request_id": uuid4()} | change)
    assert after.verification_status == PENDING
    await refused(world.call("GetDoctor", doctor_id=doctor.user_id))
    async with world.db.transaction(ADMIN.caller) as tx:
        waiting = await verification.list_pending(tx, after=None, limit=1000)
    mine = [row for row in waiting if row["doctor_id"] == doctor.user_id]
    assert [row["licence_number"] for row in mine] == [after.licence.number]


async def test_a_changed_licence_still_waiting_takes_the_place_of_the_first(
    world: World, doctor: Person, desk: Desk
) -> None:
    await upsert(world, doctor, desk.form())
    second = desk.form()
    await upsert(world, doctor, second)
    decided = await decide(world, doctor, "verified")
    assert decided["licence_number"] == second["licence_number"]


async def test_a_rejected_doctor_reads_why_and_asks_again_with_another_licence(
    world: World, doctor: Person, desk: Desk
) -> None:
    form = desk.form()
    await upsert(world, doctor, form)
    await decide(world, doctor, "rejected", "The scan cannot be read.")
    read = (await world.call("GetDoctorProfile", doctor)).profile
    again = await upsert(world, doctor, form | {"request_id": uuid4(), "bio": "More."})
    anew = await upsert(world, doctor, desk.form())
    assert (read.verification_status, read.rejection_reason) == (
        REJECTED,
        "The scan cannot be read.",
    )
    assert again.verification_status == REJECTED
    assert (anew.verification_status, anew.rejection_reason) == (PENDING, "")


async def test_a_licence_stands_behind_one_doctor_whatever_its_case(
    world: World, doctor: Person, desk: Desk
) -> None:
    form = desk.form()
    await upsert(world, await world.person("doctor"), form)
    number = form["licence_number"].lower()
    refusal = await refused(upsert(world, doctor, desk.form(licence_number=number)))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "LICENCE_IN_USE")
    await refused(world.call("GetDoctorProfile", doctor))


async def test_a_rejected_licence_is_free_for_another_doctor(
    world: World, doctor: Person, desk: Desk
) -> None:
    form, other = desk.form(), await world.person("doctor")
    await upsert(world, other, form)
    await decide(world, other, "rejected", "Not yours.")
    made = await upsert(world, doctor, form | {"request_id": uuid4()})
    assert made.verification_status == PENDING


async def test_an_old_etag_is_refused(world: World, doctor: Person, desk: Desk) -> None:
    form = desk.form()
    first = await upsert(world, doctor, form)
    edit = form | {"bio": "New.", "request_id": uuid4(), "etag": first.etag}
    await upsert(world, doctor, edit)
    refusal = await refused(upsert(world, doctor, edit | {"request_id": uuid4(), "bio": "x"}))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    assert (await world.call("GetDoctorProfile", doctor)).profile.doctor.bio == "New."


async def test_an_etag_without_a_profile_is_refused(
    world: World, doctor: Person, desk: Desk
) -> None:
    refusal = await refused(upsert(world, doctor, desk.form(etag="1")))
    assert refusal.reason == "ETAG_MISMATCH"


async def test_a_decision_changes_the_etag(world: World, doctor: Person, desk: Desk) -> None:
    form = desk.form()
    before = await upsert(world, doctor, form)
    await decide(world, doctor, "verified")
    refusal = await refused(
        upsert(world, doctor, form | {"request_id": uuid4(), "etag": before.etag})
    )
    assert refusal.reason == "ETAG_MISMATCH"


async def test_a_new_clinic_comes_with_a_practice_and_a_visit_type(
    world: World, doctor: Person, desk: Desk
) -> None:
    clinic = {"phone": "+91 80 4710 1000"}
    made = await upsert(world, doctor, desk.opening(clinic=clinic, visit_length_minutes=20))
    (practice,) = made.doctor.practices
    assert practice.fee == RUPEES
    assert (practice.clinic.name, practice.clinic.address) == ("Lakeside", "1 Lake Road")
    assert (practice.clinic.time_zone, practice.clinic.currency_code) == ("Asia/Kolkata", "INR")
    assert practice.clinic.phone == "+918047101000"
    assert practice.clinic.kind == clinic_pb2.CLINIC_KIND_CLINIC
    (visit,) = practice.visit_types
    assert (visit.name, visit.length_minutes, visit.price) == ("Consultation", 20, RUPEES)
    (mine,) = (await world.call("ListMyClinics", doctor)).clinics
    assert mine.clinic == practice.clinic
    assert mine.role == clinic_pb2.CLINIC_ROLE_OWNER


async def test_a_visit_takes_thirty_minutes_unless_said(
    world: World, doctor: Person, desk: Desk
) -> None:
    made = await upsert(world, doctor, desk.opening())
    assert made.doctor.practices[0].visit_types[0].length_minutes == 30


async def test_a_second_clinic_is_a_second_practice(
    world: World, doctor: Person, desk: Desk
) -> None:
    form = desk.opening()
    await upsert(world, doctor, form)
    form |= {"request_id": uuid4(), "new_clinic": form["new_clinic"] | {"name": "Hillside"}}
    made = await upsert(world, doctor, form)
    assert [p.clinic.name for p in made.doctor.practices] == ["Lakeside", "Hillside"]


async def test_a_doctor_does_not_open_clinics_without_end(
    world: World, doctor: Person, desk: Desk
) -> None:
    form = desk.opening()
    for _ in range(MOST_PRACTICES):
        await upsert(world, doctor, form | {"request_id": uuid4()})
    refusal = await refused(upsert(world, doctor, form | {"request_id": uuid4()}))
    assert refusal.code is grpc.StatusCode.FAILED_PRECONDITION
    assert len((await world.call("ListMyClinics", doctor)).clinics) == MOST_PRACTICES


async def test_a_new_doctor_opens_hours_is_verified_found_and_free(
    world: World, doctor: Person, desk: Desk
) -> None:
    made = await upsert(world, doctor, desk.opening())
    practice_id = made.doctor.practices[0].practice_id
    whole_day = {"start": {"hours": 0}, "end": {"hours": 0}}
    week = [{"window": whole_day, "day_of_week": day} for day in range(1, 8)]
    await world.call(
        "SetAvailability",
        doctor,
        request_id=uuid4(),
        practice_id=practice_id,
        rules=week,
    )
    await decide(world, doctor, "verified")
    found = await world.call("SearchDoctors", specialties=desk.specialties[:1])
    shown = (await world.call("GetDoctor", doctor_id=doctor.user_id)).doctor
    assert [d.doctor_id for d in found.doctors] == [str(doctor.user_id)]
    assert shown.next_free_time == shown.practices[0].next_free_time
    assert shown.next_free_time.ToDatetime(UTC) >= world.db.clock.now()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"full_name": "   "}, "full_name"),
        ({"qualifications": " \t "}, "qualifications"),
        ({"licence_number": "     "}, "licence_number"),
        ({"practising_since": datetime.now(UTC).year + 1}, "practising_since"),
        ({"licence_year": datetime.now(UTC).year + 1}, "licence_year"),
        ({"licence_year": 0}, "licence_year"),
        ({"specialties": []}, "specialties"),
        ({"specialties": ["alchemy"]}, "specialties[0]"),
        ({"languages": ["zz"]}, "languages[0]"),
        ({"languages": []}, "languages"),
        ({"request_id": "1"}, "request_id"),
        ({"fee": RUPEES}, "fee"),
        ({"visit_length_minutes": 20}, "visit_length_minutes"),
    ],
)
async def test_an_invalid_profile_is_refused_and_names_the_field(
    world: World, doctor: Person, desk: Desk, change: dict[str, Any], field: str
) -> None:
    refusal = await refused(upsert(world, doctor, desk.form(**change)))
    assert (refusal.reason, list(refusal.fields)) == ("INVALID_FIELD", [field])


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"fee": None}, "fee"),
        ({"fee": Money(currency_code="USD", units=600)}, "fee.currency_code"),
        ({"fee": Money(currency_code="INR", units=-1)}, "fee"),
        ({"fee": Money(currency_code="INR", units=1, nanos=1_000_000)}, "fee"),
        ({"clinic": {"city": "atlantis"}}, "new_clinic.city"),
        ({"clinic": {"phone": "+91 12"}}, "new_clinic.phone"),
        ({"clinic": {"phone": "call me"}}, "new_clinic.phone"),
        ({"clinic": {"name": "  "}}, "new_clinic.name"),
        ({"clinic": {"address": "    "}}, "new_clinic.address"),
        ({"visit_length_minutes": 481}, "visit_length_minutes"),
        ({"visit_length_minutes": 4}, "visit_length_minutes"),
    ],
)
async def test_an_invalid_clinic_is_refused_and_nothing_is_kept(
    world: World, doctor: Person, desk: Desk, change: dict[str, Any], field: str
) -> None:
    refusal = await refused(upsert(world, doctor, desk.opening(**change)))
    assert (refusal.reason, list(refusal.fields)) == ("INVALID_FIELD", [field])
    await refused(world.call("GetDoctorProfile", doctor))


async def test_a_repeated_request_opens_one_clinic_and_gets_the_same_answer(
    world: World, doctor: Person, desk: Desk
) -> None:
    form = desk.opening()
    first = await upsert(world, doctor, form)
    second = await upsert(world, doctor, form)
    clinics = (await world.call("ListMyClinics", doctor)).clinics
    reused = await refused(upsert(world, doctor, form | {"bio": "Other."}))
    assert first == second
    assert len(clinics) == 1
    assert reused.reason == "REQUEST_ID_REUSED"


@pytest.mark.parametrize("rpc_name", ["GetDoctorProfile", "UpsertDoctorProfile"])
async def test_a_profile_is_for_doctors_alone(world: World, rpc_name: str) -> None:
    patient = await world.person()
    nobody = await refused(world.call(rpc_name))
    other = await refused(world.call(rpc_name, patient))
    assert nobody.code is grpc.StatusCode.UNAUTHENTICATED
    assert other.code is grpc.StatusCode.PERMISSION_DENIED


async def test_racing_first_profiles_of_a_doctor_leave_one(
    live_world: World, desk: Desk, owner: Any
) -> None:
    doctor = await live_world.person("doctor")
    forms = [desk.form(bio=f"Try {n}.") for n in range(8)]
    made = await asyncio.gather(*(upsert(live_world, doctor, form) for form in forms))
    kept = (await live_world.call("GetDoctorProfile", doctor)).profile
    live = await owner.fetch(
        "SELECT licence_number FROM verification WHERE doctor_id = $1 AND status = 'pending'",
        doctor.user_id,
    )
    assert kept in made
    assert [row["licence_number"] for row in live] == [kept.licence.number]


async def test_of_racing_edits_with_one_etag_one_is_kept(live_world: World, desk: Desk) -> None:
    doctor, form = await live_world.person("doctor"), desk.form()
    etag = (await upsert(live_world, doctor, form)).etag
    edits = [form | {"request_id": uuid4(), "bio": f"Try {n}.", "etag": etag} for n in range(8)]
    answers = await asyncio.gather(
        *(upsert(live_world, doctor, edit) for edit in edits), return_exceptions=True
    )
    made = [answer for answer in answers if not isinstance(answer, BaseException)]
    codes = [error.code() for error in answers if isinstance(error, grpc.aio.AioRpcError)]
    assert codes == [grpc.StatusCode.ABORTED] * 7
    assert made == [(await live_world.call("GetDoctorProfile", doctor)).profile]


async def test_of_doctors_racing_for_a_licence_one_gets_it(live_world: World, desk: Desk) -> None:
    doctors = [await live_world.person("doctor") for _ in range(6)]
    number = uuid4().hex
    answers = await asyncio.gather(
        *(upsert(live_world, one, desk.form(licence_number=number)) for one in doctors),
        return_exceptions=True,
    )
    made = [answer for answer in answers if not isinstance(answer, BaseException)]
    codes = {error.code() for error in answers if isinstance(error, grpc.aio.AioRpcError)}
    assert len(made) == 1
    assert codes == {grpc.StatusCode.ALREADY_EXISTS}


async def test_every_change_is_audited_and_administrators_are_told(
    live_world: World, desk: Desk, owner: Any
) -> None:
    doctor = await live_world.person("doctor")
    made = await upsert(live_world, doctor, desk.opening())
    ids = [doctor.user_id, UUID(made.doctor.practices[0].clinic.clinic_id)]
    ids.append(UUID(made.doctor.practices[0].practice_id))
    rows = await owner.fetch("SELECT * FROM audit WHERE subject_id = ANY ($1)", ids)
    told = await owner.fetch("SELECT topic FROM outbox WHERE subject_id = ANY ($1)", ids)
    assert {row["actor_id"] for row in rows} == {doctor.user_id}
    assert {row["action"] for row in rows} >= {
        "doctor.profile_created",
        "doctor.verification_requested",
        "clinic.opened",
        "practice.opened",
    }
    assert [row["topic"] for row in told] == ["doctor.verification_requested"]


async def test_the_database_itself_lets_no_doctor_verify_themselves(
    db: Database, world: World, doctor: Person, desk: Desk
) -> None:
    await upsert(world, doctor, desk.form())
    granted = (
        "UPDATE verification SET status = 'superseded'; INSERT INTO verification (doctor_id,"
        " licence_number, licence_council, licence_year, status)"
        f" VALUES ('{doctor.user_id}', 'A1', 'Council', 2010, 'verified')"
    )
    for change in (
        granted,
        "UPDATE doctor_profile SET verification_status = 'verified'",
        "UPDATE verification SET status = 'verified'",
        "UPDATE doctor_profile SET rating = 5",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with db.transaction(Caller(doctor.user_id, "doctor")) as tx:
                await tx._connection.execute(change)
