"""Who works at a clinic: roles, the last owner, and what outsiders may know."""

import asyncio
from typing import Any
from uuid import uuid4

import asyncpg
import grpc
import pytest

from carelane.directory.v1 import clinic_pb2
from server.auth.attempts import DEFAULT_RULES
from server.core.clock import MovableClock
from server.core.db import Database
from tests.refusal import refused
from tests.world import Person, PracticeOf, World

OWNER = clinic_pb2.CLINIC_ROLE_OWNER
MANAGER = clinic_pb2.CLINIC_ROLE_MANAGER
FRONT_DESK = clinic_pb2.CLINIC_ROLE_FRONT_DESK
DOCTOR = clinic_pb2.CLINIC_ROLE_DOCTOR
NAMES = {OWNER: "owner", MANAGER: "manager", FRONT_DESK: "front_desk", DOCTOR: "doctor"}
LOWER = (FRONT_DESK, DOCTOR)
NOT_FOUND = grpc.StatusCode.NOT_FOUND
DENIED = grpc.StatusCode.PERMISSION_DENIED


class Clinic:
    """A clinic, and calls about its members."""

    def __init__(self, world: World, practice: PracticeOf) -> None:
        self.world = world
        self.practice = practice
        self.clinic_id = practice.clinic_id
        self.owner = practice.owner

    async def of_role(self, role: int) -> Person:
        """Answer a new member with a role."""
        person = await self.world.person()
        await self.world.member(self.owner, self.clinic_id, person, NAMES[role])
        return person

    async def add(self, by: Person, person: Person, role: int, **fields: Any) -> Any:
        email = f"{person.user_id.hex}@mail.example"
        return await self._call("AddClinicMember", by, **({"email": email, "role": role} | fields))

    async def update(self, by: Person, person: Person, role: int, **fields: Any) -> Any:
        return await self._call(
            "UpdateClinicMember", by, **({"user_id": person.user_id, "role": role} | fields)
        )

    async def remove(self, by: Person, person: Person, **fields: Any) -> Any:
        return await self._call("RemoveClinicMember", by, **({"user_id": person.user_id} | fields))

    async def members(self, by: Person, **fields: Any) -> Any:
        return await self.world.call("ListClinicMembers", by, clinic_id=self.clinic_id, **fields)

    async def roles(self) -> dict[str, int]:
        answer = await self.members(self.owner, page_size=200)
        return {member.user_id: member.role for member in answer.members}

    async def _call(self, rpc_name: str, by: Person, **fields: Any) -> Any:
        usual = {"request_id": uuid4(), "clinic_id": self.clinic_id}
        return await self.world.call(rpc_name, by, **(usual | fields))


@pytest.fixture
async def clinic(world: World) -> Clinic:
    return Clinic(world, await world.practice())


@pytest.fixture
async def live_clinic(live_world: World) -> Clinic:
    return Clinic(live_world, await live_world.practice())


async def test_an_owner_lets_an_account_work_at_the_clinic(clinic: Clinic) -> None:
    person = await clinic.world.person(name="Farah Desk")
    email = f"{person.user_id.hex}@MAIL.example"
    member = (await clinic.add(clinic.owner, person, FRONT_DESK, email=email)).member
    assert (member.user_id, member.clinic_id) == (str(person.user_id), str(clinic.clinic_id))
    assert (member.role, member.full_name) == (FRONT_DESK, "Farah Desk")
    assert member.email == f"{person.user_id.hex}@mail.example"
    listed = (await clinic.members(person)).members
    assert member in listed
    (mine,) = (await clinic.world.call("ListMyClinics", person)).clinics
    assert (mine.clinic.clinic_id, mine.role) == (str(clinic.clinic_id), FRONT_DESK)


@pytest.mark.parametrize("role", NAMES)
async def test_an_owner_gives_changes_and_takes_every_role(clinic: Clinic, role: int) -> None:
    person = await clinic.world.person()
    await clinic.add(clinic.owner, person, role)
    changed = await clinic.update(clinic.owner, person, OWNER)
    back = await clinic.update(clinic.owner, person, role)
    assert (changed.member.role, back.member.role) == (OWNER, role)
    await clinic.remove(clinic.owner, person)
    assert str(person.user_id) not in await clinic.roles()


@pytest.mark.parametrize("role", LOWER)
async def test_a_manager_gives_changes_and_takes_the_lower_roles(clinic: Clinic, role: int) -> None:
    manager, person = await clinic.of_role(MANAGER), await clinic.world.person()
    await clinic.add(manager, person, role)
    for other in LOWER:
        assert (await clinic.update(manager, person, other)).member.role == other
    await clinic.remove(manager, person)
    assert str(person.user_id) not in await clinic.roles()


@pytest.mark.parametrize("role", [OWNER, MANAGER])
async def test_a_manager_touches_nobody_of_the_own_role_or_above(clinic: Clinic, role: int) -> None:
    manager, peer = await clinic.of_role(MANAGER), await clinic.of_role(role)
    desk, person = await clinic.of_role(FRONT_DESK), await clinic.world.person()
    for call in (
        clinic.add(manager, person, role),
        clinic.update(manager, desk, role),
        clinic.update(manager, peer, FRONT_DESK),
        clinic.update(manager, manager, FRONT_DESK),
        clinic.remove(manager, peer),
    ):
        assert (await refused(call)).code is DENIED


@pytest.mark.parametrize("role", LOWER)
async def test_who_is_below_manager_changes_nobody(clinic: Clinic, role: int) -> None:
    member, other = await clinic.of_role(role), await clinic.of_role(FRONT_DESK)
    person = await clinic.world.person()
    for call in (
        clinic.add(member, person, FRONT_DESK),
        clinic.update(member, other, DOCTOR),
        clinic.update(member, member, OWNER),
        clinic.remove(member, other),
    ):
        assert (await refused(call)).code is DENIED
    assert len((await clinic.members(member)).members) == 4


async def test_to_outsiders_a_clinic_is_like_one_that_does_not_exist(clinic: Clinic) -> None:
    elsewhere = await clinic.world.practice()
    person, nowhere = await clinic.world.person(), Clinic(clinic.world, clinic.practice)
    nowhere.clinic_id = uuid4()
    for outsider in (person, elsewhere.owner, Person(uuid4(), "admin")):
        for calls in zip(*(_all(c, outsider) for c in (clinic, nowhere)), strict=True):
            real, none = [await refused(call) for call in calls]
            assert real.code is NOT_FOUND
            assert (real.code, real.reason, real.text) == (none.code, none.reason, none.text)


def _all(clinic: Clinic, by: Person) -> list[Any]:
    return [
        clinic.members(by),
        clinic.add(by, by, FRONT_DESK),
        clinic.update(by, clinic.owner, FRONT_DESK),
        clinic.remove(by, clinic.owner),
        clinic.remove(by, by),
    ]


async def test_nobody_without_a_token_gets_to_members(clinic: Clinic) -> None:
    for rpc_name in (
        "ListMyClinics",
        "ListClinicMembers",
        "AddClinicMember",
        "UpdateClinicMember",
        "RemoveClinicMember",
    ):
        refusal = await refused(clinic.world.call(rpc_name))
        assert refusal.code is grpc.StatusCode.UNAUTHENTICATED


async def test_members_of_another_clinic_cannot_be_changed_from_here(clinic: Clinic) -> None:
    elsewhere = Clinic(clinic.world, await clinic.world.practice())
    other = await elsewhere.of_role(FRONT_DESK)
    for call in (clinic.update(clinic.owner, other, DOCTOR), clinic.remove(clinic.owner, other)):
        assert (await refused(call)).code is NOT_FOUND
    assert (await elsewhere.roles())[str(other.user_id)] == FRONT_DESK


async def test_an_address_without_an_account_is_not_found(clinic: Clinic) -> None:
    call = clinic.add(clinic.owner, clinic.owner, FRONT_DESK, email="nobody@mail.example")
    assert (await refused(call)).code is NOT_FOUND


async def test_nobody_tries_addresses_without_end(clinic: Clinic, clock: MovableClock) -> None:
    async def attempt(by: Person) -> str:
        email = f"{uuid4().hex}@mail.example"
        return (await refused(clinic.add(by, by, FRONT_DESK, email=email))).reason

    most = DEFAULT_RULES.caller_look_ups
    second = await clinic.of_role(OWNER)
    assert {await attempt(clinic.owner) for _ in range(most.attempts)} == {"NOT_FOUND"}
    assert await attempt(clinic.owner) == "RATE_LIMITED"
    assert await attempt(second) == "NOT_FOUND"
    clock.advance(most.window)
    assert await attempt(clinic.owner) == "NOT_FOUND"


async def test_a_member_cannot_be_added_twice(clinic: Clinic) -> None:
    member = await clinic.of_role(FRONT_DESK)
    refusal = await refused(clinic.add(clinic.owner, member, MANAGER))
    assert refusal.code is grpc.StatusCode.ALREADY_EXISTS
    assert refusal.text == "This person works at the clinic already."
    assert (await clinic.roles())[str(member.user_id)] == FRONT_DESK


async def test_the_last_owner_stays_owner(clinic: Clinic) -> None:
    await clinic.of_role(MANAGER)
    for call in (
        clinic.update(clinic.owner, clinic.owner, MANAGER),
        clinic.remove(clinic.owner, clinic.owner),
    ):
        refusal = await refused(call)
        assert refusal.code is grpc.StatusCode.FAILED_PRECONDITION
        assert refusal.reason == "LAST_OWNER"


async def test_everyone_may_leave_and_loses_sight_at_once(clinic: Clinic) -> None:
    second = await clinic.of_role(OWNER)
    for role in NAMES:
        member = await clinic.of_role(role)
        await clinic.remove(member, member)
        assert (await refused(clinic.members(member))).code is NOT_FOUND
        assert not (await clinic.world.call("ListMyClinics", member)).clinics
    await clinic.remove(clinic.owner, clinic.owner)
    assert [m.user_id for m in (await clinic.members(second)).members if m.role == OWNER] == [
        str(second.user_id)
    ]


async def test_a_doctor_who_leaves_is_offered_there_no_more_until_back(clinic: Clinic) -> None:
    doctor = clinic.practice.doctor
    await clinic.remove(clinic.owner, doctor)
    gone = await clinic.world.call("GetDoctor", doctor_id=doctor.user_id)
    await clinic.add(clinic.owner, doctor, DOCTOR)
    back = await clinic.world.call("GetDoctor", doctor_id=doctor.user_id)
    assert not gone.doctor.practices
    assert not gone.doctor.HasField("next_free_time")
    assert [p.practice_id for p in back.doctor.practices] == [str(clinic.practice.practice_id)]


@pytest.mark.parametrize(
    ("rpc_name", "change", "field"),
    [
        ("AddClinicMember", {"email": "no address"}, "email"),
        ("AddClinicMember", {"role": 0}, "role"),
        ("AddClinicMember", {"role": 9}, "role"),
        ("AddClinicMember", {"request_id": "1"}, "request_id"),
        ("AddClinicMember", {"clinic_id": "1"}, "clinic_id"),
        ("UpdateClinicMember", {"role": 0}, "role"),
        ("UpdateClinicMember", {"user_id": "1"}, "user_id"),
        ("RemoveClinicMember", {"user_id": ""}, "user_id"),
        ("RemoveClinicMember", {"clinic_id": ""}, "clinic_id"),
        ("ListClinicMembers", {"clinic_id": "x"}, "clinic_id"),
        ("ListClinicMembers", {"page_size": -1}, "page_size"),
        ("ListMyClinics", {"page_size": -1}, "page_size"),
    ],
)
async def test_an_invalid_field_is_named(
    clinic: Clinic, rpc_name: str, change: dict[str, Any], field: str
) -> None:
    valid = {
        "AddClinicMember": {"email": "a@mail.example", "role": FRONT_DESK},
        "UpdateClinicMember": {"user_id": uuid4(), "role": FRONT_DESK},
        "RemoveClinicMember": {"user_id": uuid4()},
    }.get(rpc_name, {})
    ids = {"clinic_id": clinic.clinic_id} if rpc_name != "ListMyClinics" else {}
    once = {"request_id": uuid4()} if valid else {}
    call = clinic.world.call(rpc_name, clinic.owner, **(ids | once | valid | change))
    refusal = await refused(call)
    assert (refusal.reason, list(refusal.fields)) == ("INVALID_FIELD", [field])


async def test_a_repeated_request_changes_once_and_answers_the_same(clinic: Clinic) -> None:
    person, request_id = await clinic.world.person(), uuid4()
    first = await clinic.add(clinic.owner, person, FRONT_DESK, request_id=request_id)
    assert await clinic.add(clinic.owner, person, FRONT_DESK, request_id=request_id) == first
    other = await refused(clinic.add(clinic.owner, person, MANAGER, request_id=request_id))
    assert other.reason == "REQUEST_ID_REUSED"
    changed = await clinic.update(clinic.owner, person, MANAGER, request_id=request_id)
    await clinic.update(clinic.owner, person, DOCTOR)
    again = await clinic.update(clinic.owner, person, MANAGER, request_id=request_id)
    assert again == changed
    assert (await clinic.roles())[str(person.user_id)] == DOCTOR
    await clinic.remove(clinic.owner, person, request_id=request_id)
    await clinic.remove(clinic.owner, person, request_id=request_id)
    assert str(person.user_id) not in await clinic.roles()


async def test_members_are_listed_page_by_page_in_the_order_they_joined(clinic: Clinic) -> None:
    joined = [str(clinic.owner.user_id), str(clinic.practice.doctor.user_id)]
    joined += [str((await clinic.of_role(FRONT_DESK)).user_id) for _ in range(5)]
    listed, token = [], ""
    while True:
        answer = await clinic.members(clinic.owner, page_size=3, page_token=token)
        listed += [member.user_id for member in answer.members]
        token = answer.next_page_token
        if not token:
            break
    assert listed == joined


async def test_a_page_token_of_another_person_is_refused(clinic: Clinic) -> None:
    member = await clinic.of_role(FRONT_DESK)
    token = (await clinic.members(clinic.owner, page_size=1)).next_page_token
    refusal = await refused(clinic.members(member, page_size=1, page_token=token))
    assert refusal.reason == "INVALID_PAGE_TOKEN"


async def test_ones_own_clinics_are_listed_by_name(clinic: Clinic) -> None:
    person = await clinic.of_role(FRONT_DESK)
    for _ in range(4):
        other = Clinic(clinic.world, await clinic.world.practice())
        await other.add(other.owner, person, FRONT_DESK)
    ids, token = [], ""
    while True:
        page = await clinic.world.call("ListMyClinics", person, page_size=2, page_token=token)
        ids += [mine.clinic.clinic_id for mine in page.clinics]
        token = page.next_page_token
        if not token:
            break
    assert len(ids) == len(set(ids)) == 5
    assert ids == sorted(ids)


async def test_owners_leaving_at_once_leave_one(live_clinic: Clinic) -> None:
    owners = [live_clinic.owner] + [await live_clinic.of_role(OWNER) for _ in range(5)]
    calls = [live_clinic.remove(one, one) for one in owners[:3]]
    calls += [live_clinic.update(one, one, FRONT_DESK) for one in owners[3:]]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    refusals = [answer for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
    assert [error.code() for error in refusals] == [grpc.StatusCode.FAILED_PRECONDITION]


async def test_owners_demoting_each_other_leave_one(live_clinic: Clinic, owner: Any) -> None:
    for _ in range(5):
        second = await live_clinic.of_role(OWNER)
        first = live_clinic.owner
        await asyncio.gather(
            live_clinic.update(first, second, FRONT_DESK),
            live_clinic.update(second, first, FRONT_DESK),
            return_exceptions=True,
        )
        rows = await owner.fetch(
            "SELECT user_id FROM clinic_member WHERE clinic_id = $1 AND role = 'owner'",
            live_clinic.clinic_id,
        )
        assert len(rows) == 1
        live_clinic.owner = first if rows[0]["user_id"] == first.user_id else second


async def test_adding_one_person_at_once_adds_them_once(live_clinic: Clinic) -> None:
    person = await live_clinic.world.person()
    answers = await asyncio.gather(
        *(live_clinic.add(live_clinic.owner, person, FRONT_DESK) for _ in range(5)),
        return_exceptions=True,
    )
    refusals = [answer for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
    assert [error.code() for error in refusals] == [grpc.StatusCode.ALREADY_EXISTS] * 4


async def test_changes_are_audited_at_the_clinic_and_told(live_clinic: Clinic, owner: Any) -> None:
    person = await live_clinic.world.person()
    await live_clinic.add(live_clinic.owner, person, FRONT_DESK)
    await live_clinic.update(live_clinic.owner, person, MANAGER)
    await live_clinic.update(live_clinic.owner, person, MANAGER)
    await live_clinic.remove(live_clinic.owner, person)
    rows = await owner.fetch(
        "SELECT action, actor_id FROM audit WHERE clinic_id = $1 AND action LIKE 'clinic.%'"
        " ORDER BY audit_id",
        live_clinic.clinic_id,
    )
    told = await owner.fetch(
        "SELECT payload->>'user_id' AS who FROM outbox WHERE clinic_id = $1 AND topic LIKE 'c%'",
        live_clinic.clinic_id,
    )
    assert [row["action"] for row in rows] == [
        "clinic.member_added",
        "clinic.member_changed",
        "clinic.member_removed",
    ]
    assert {row["actor_id"] for row in rows} == {live_clinic.owner.user_id}
    assert [row["who"] for row in told] == [str(person.user_id)] * 3


async def _as(db: Database, person: Person, statement: str) -> str:
    """Run a statement past all our code, as a person."""
    async with db.transaction(person.caller) as tx:
        return str(await tx._connection.execute(statement))


async def test_the_database_itself_keeps_managers_below_owners(clinic: Clinic) -> None:
    db, manager = clinic.world.db, await clinic.of_role(MANAGER)
    mine = f"clinic_id = '{clinic.clinic_id}'"
    raised = await _raised(db, manager, f"UPDATE clinic_member SET role = 'owner' WHERE {mine}")
    assert "row-level security" in raised or raised == "UPDATE 0"
    for statement in (
        f"INSERT INTO clinic_member VALUES ('{clinic.clinic_id}', '{manager.user_id}', 'owner')",
        f"UPDATE clinic_member SET clinic_id = '{uuid4()}' WHERE {mine}",
    ):
        assert "denied" in (text := await _raised(db, manager, statement)) or "row-level" in text
    owners = f"DELETE FROM clinic_member WHERE {mine} AND role = 'owner'"
    assert await _as(db, manager, owners) == "DELETE 0"


async def test_the_database_itself_shows_an_account_to_managers_alone(clinic: Clinic) -> None:
    db, desk = clinic.world.db, await clinic.of_role(FRONT_DESK)
    email = f"{desk.user_id.hex}@mail.example"
    look = f"SELECT FROM find_account('{email}')"
    assert await _as(db, clinic.owner, look) == "SELECT 1"
    assert await _as(db, desk, look) == "SELECT 0"
    stranger = await clinic.world.person()
    seen = f"SELECT FROM user_account WHERE user_id = '{stranger.user_id}'"
    assert await _as(db, clinic.owner, seen) == "SELECT 0"


async def test_the_database_itself_gives_no_hospital_to_who_comes_first(towns: World) -> None:
    hospital = (await towns.call("ListHospitals", page_size=1)).hospitals[0]
    stranger = Person(uuid4(), "doctor")
    join = "INSERT INTO clinic_member (clinic_id, user_id, role)"
    statement = f"{join} VALUES ('{hospital.clinic_id}', '{stranger.user_id}', 'owner')"
    assert "row-level security" in await _raised(towns.db, stranger, statement)


async def _raised(db: Database, person: Person, statement: str) -> str:
    try:
        return await _as(db, person, statement)
    except asyncpg.PostgresError as error:
        return str(error)
