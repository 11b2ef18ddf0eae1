"""Joining the waitlist, leaving it, and who sees who waits."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.type.timeofday_pb2 import TimeOfDay

from carelane.waitlist.v1 import waitlist_pb2 as pb
from server.core import wire
from server.core.clock import MovableClock
from server.waitlist.entries import MOST_LIVE
from tests.refusal import refused
from tests.world import Person, PracticeOf, World

TODAY = datetime.now(UTC).date()
SOON = TODAY + timedelta(days=30)


async def join(world: World, person: Person | None, **fields: Any) -> Any:
    """Join and answer the entry."""
    fields = {"request_id": uuid4(), "until_date": SOON} | fields
    return (await world.call("JoinWaitlist", person, **fields)).entry


async def mine(world: World, person: Person, **fields: Any) -> list[Any]:
    return list((await world.call("ListMyWaitlist", person, **fields)).entries)


@pytest.fixture
async def practice(world: World) -> PracticeOf:
    return await world.practice()


async def test_a_patient_waits_for_a_practice(world: World, practice: PracticeOf) -> None:
    patient = await world.person()
    entry = await join(
        world,
        patient,
        practice_id=practice.practice_id,
        days_of_week=[6, 1],
        earliest=TimeOfDay(hours=9, minutes=30),
    )
    assert entry.status == pb.WAITLIST_STATUS_WAITING
    assert [*entry.days_of_week] == [1, 6]
    assert (entry.earliest.hours, entry.earliest.minutes) == (9, 30)
    assert (entry.latest.hours, entry.latest.minutes) == (23, 59)
    assert entry.doctor_name == "Dr. Meera Nair"
    assert entry.clinic_name == "Lakeside Clinic"
    assert not entry.HasField("offer")
    assert await mine(world, patient) == [entry]


@pytest.mark.parametrize(("zone", "today"), [("Pacific/Honolulu", 1), ("Asia/Kolkata", 2)])
async def test_who_names_no_first_day_waits_from_today_at_the_clinic(
    world: World, clock: MovableClock, zone: str, today: int
) -> None:
    practice = await world.practice(zone=zone)
    clock.set(datetime(2027, 6, 1, 19, tzinfo=UTC))
    wish = {"practice_id": practice.practice_id}
    entry = await join(world, await world.person(), **wish, until_date=date(2027, 6, 30))
    assert wire.to_date(entry.from_date, "from_date") == date(2027, 6, today)
    await join(world, await world.person(), **wish, until_date=date(2027, 6, today))
    yesterday = date(2027, 6, today) - timedelta(days=1)
    over = join(world, await world.person(), **wish, until_date=yesterday)
    assert [*(await refused(over)).fields] == ["until_date"]


async def test_a_person_waits_for_a_dependant(world: World, practice: PracticeOf) -> None:
    guardian, wish = await world.person(), {"practice_id": practice.practice_id}
    child = await world.dependant(guardian)
    entry = await join(world, guardian, **wish, patient_id=child)
    own = await join(world, guardian, **wish)
    assert (entry.patient.patient_id, entry.patient.full_name) == (child, "Kiran Rao")
    assert own.patient.patient_id == str(guardian.user_id)
    assert await mine(world, guardian) == [entry, own]
    for person in (practice.doctor, await world.front_desk(practice)):
        entries = (await world.call("ListWaitlist", person)).entries
        assert [each.patient.full_name for each in entries] == ["Kiran Rao", "Asha Rao"]
    again = await refused(join(world, guardian, **wish, patient_id=child))
    assert again.reason == "ALREADY_WAITING"
    leave = {"request_id": uuid4(), "entry_id": entry.entry_id}
    stranger = await refused(world.call("LeaveWaitlist", await world.person(), **leave))
    assert stranger.code == grpc.StatusCode.NOT_FOUND
    await world.call("LeaveWaitlist", guardian, **leave)
    assert await mine(world, guardian) == [own]


async def test_nobody_waits_for_a_patient_of_others_or_one_who_has_ended(
    world: World, practice: PracticeOf
) -> None:
    guardian, stranger = await world.person(), await world.person()
    child, ended = await world.dependant(guardian), await world.dependant(guardian)
    await world.call("EndDependant", guardian, request_id=uuid4(), patient_id=ended)
    for person, patient_id in (
        (stranger, child),
        (stranger, guardian.user_id),
        (guardian, ended),
        (guardian, uuid4()),
    ):
        joining = join(world, person, practice_id=practice.practice_id, patient_id=patient_id)
        assert (await refused(joining)).code == grpc.StatusCode.NOT_FOUND
    assert await mine(world, guardian) == []


async def test_a_repeat_joins_once(world: World, practice: PracticeOf) -> None:
    patient, request_id = await world.person(), uuid4()
    fields = {"request_id": request_id, "practice_id": practice.practice_id}
    first = await join(world, patient, **fields)
    assert await join(world, patient, **fields) == first
    refusal = await refused(join(world, patient, **fields, days_of_week=[1]))
    assert refusal.reason == "REQUEST_ID_REUSED"
    assert len(await mine(world, patient)) == 1


async def test_one_waits_for_the_same_once(world: World, practice: PracticeOf) -> None:
    patient = await world.person()
    entry = await join(world, patient, practice_id=practice.practice_id)
    again = await refused(join(world, patient, practice_id=practice.practice_id))
    assert (again.code, again.reason) == (grpc.StatusCode.ALREADY_EXISTS, "ALREADY_WAITING")
    await world.call("LeaveWaitlist", patient, request_id=uuid4(), entry_id=entry.entry_id)
    await join(world, patient, practice_id=practice.practice_id)


async def test_one_waits_for_so_many_things_and_no_more(world: World) -> None:
    patient = await world.person()
    for _ in range(MOST_LIVE):
        await join(world, patient, practice_id=(await world.practice()).practice_id)
    one_more = join(world, patient, practice_id=(await world.practice()).practice_id)
    assert (await refused(one_more)).reason == "TOO_MANY_ENTRIES"


async def test_who_left_is_on_no_list_and_may_look_back(world: World, practice: PracticeOf) -> None:
    patient = await world.person()
    entry = await join(world, patient, practice_id=practice.practice_id)
    leave = {"request_id": uuid4(), "entry_id": entry.entry_id}
    left = (await world.call("LeaveWaitlist", patient, **leave)).entry
    assert left.status == pb.WAITLIST_STATUS_LEFT
    assert (await world.call("LeaveWaitlist", patient, **leave)).entry == left
    assert await mine(world, patient) == []
    assert await mine(world, patient, include_ended=True) == [left]
    assert (await world.call("ListWaitlist", practice.doctor)).entries == []


async def test_doctor_and_staff_see_who_waits_in_the_order_of_joining(
    world: World, practice: PracticeOf
) -> None:
    names = ["Asha Rao", "Bela Sen", "Chitra Das"]
    for name in names:
        await join(world, await world.person(name=name), practice_id=practice.practice_id)
    for person in (practice.doctor, practice.owner, await world.front_desk(practice)):
        entries = (await world.call("ListWaitlist", person)).entries
        assert [entry.patient.full_name for entry in entries] == names


async def test_the_list_of_a_practice_comes_in_pages(world: World, practice: PracticeOf) -> None:
    for name in ("Asha Rao", "Bela Sen", "Chitra Das"):
        await join(world, await world.person(name=name), practice_id=practice.practice_id)
    query = {"practice_id": practice.practice_id, "page_size": 2}
    first = await world.call("ListWaitlist", practice.doctor, **query)
    rest = await world.call(
        "ListWaitlist", practice.doctor, **query, page_token=first.next_page_token
    )
    assert [len(first.entries), len(rest.entries)] == [2, 1]
    assert rest.next_page_token == ""
    stolen = world.call("ListWaitlist", practice.owner, **query, page_token=first.next_page_token)
    assert (await refused(stolen)).reason == "INVALID_PAGE_TOKEN"


async def test_nobody_else_sees_who_waits(world: World, practice: PracticeOf) -> None:
    patient, other = await world.person(), await world.practice()
    entry = await join(world, patient, practice_id=practice.practice_id)
    strangers = [await world.person(), other.doctor, other.owner]
    for stranger in strangers:
        assert (await world.call("ListWaitlist", stranger)).entries == []
    leave = world.call("LeaveWaitlist", strangers[0], request_id=uuid4(), entry_id=entry.entry_id)
    assert (await refused(leave)).code == grpc.StatusCode.NOT_FOUND
    assert await mine(world, strangers[0]) == []
    assert await mine(world, patient) == [entry]


async def test_what_does_not_exist_cannot_be_waited_for(world: World, practice: PracticeOf) -> None:
    patient, other = await world.person(), await world.practice()
    hidden = await world.practice(verified=False)
    for fields in (
        {"practice_id": uuid4()},
        {"practice_id": hidden.practice_id},
        {"practice_id": practice.practice_id, "visit_type_id": other.visit_type_id},
    ):
        refusal = await refused(join(world, patient, **fields))
        assert refusal.code == grpc.StatusCode.NOT_FOUND


PRACTICE = {"practice_id": str(uuid4())}


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, ""),
        (PRACTICE | {"specialty": "cardiology"}, ""),
        ({"specialty": "cardiology"}, ""),
        ({"specialty": "no-such", "city": "nowhere"}, "specialty"),
        ({"specialty": "No Such", "city": "nowhere"}, "specialty"),
        (PRACTICE | {"days_of_week": [0]}, "days_of_week[0]"),
        (PRACTICE | {"days_of_week": [8]}, "days_of_week[0]"),
        (PRACTICE | {"days_of_week": [1, 1]}, "days_of_week"),
        (PRACTICE | {"earliest": TimeOfDay(hours=24)}, "earliest"),
        (PRACTICE | {"latest": TimeOfDay(hours=9, seconds=1)}, "latest"),
        (PRACTICE | {"until_date": None}, "until_date"),
        (PRACTICE | {"patient_id": "x"}, "patient_id"),
        (PRACTICE | {"request_id": "x"}, "request_id"),
    ],
)
async def test_a_wish_that_says_nothing_clear_is_refused(
    world: World, fields: dict[str, Any], named: str
) -> None:
    refusal = await refused(join(world, await world.person(), **fields))
    assert refusal.code == grpc.StatusCode.INVALID_ARGUMENT
    assert [*refusal.fields] == [named]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"until_date": TODAY - timedelta(days=3)}, "until_date"),
        ({"until_date": TODAY + timedelta(days=400)}, "until_date"),
        ({"from_date": SOON + timedelta(days=1)}, "until_date"),
        ({"from_date": date(1899, 1, 1)}, "from_date"),
        ({"earliest": TimeOfDay(hours=10), "latest": TimeOfDay(hours=9)}, "latest"),
    ],
)
async def test_days_and_hours_that_never_come_are_refused(
    world: World, practice: PracticeOf, fields: dict[str, Any], named: str
) -> None:
    joining = join(world, await world.person(), practice_id=practice.practice_id, **fields)
    assert [*(await refused(joining)).fields] == [named]


@pytest.mark.parametrize(
    ("rpc", "fields"),
    [
        ("JoinWaitlist", PRACTICE | {"request_id": str(uuid4()), "until_date": SOON}),
        ("LeaveWaitlist", {"request_id": str(uuid4()), "entry_id": str(uuid4())}),
        ("ListMyWaitlist", {}),
        ("AcceptOffer", {"request_id": str(uuid4()), "offer_id": str(uuid4())}),
        ("DeclineOffer", {"request_id": str(uuid4()), "offer_id": str(uuid4())}),
    ],
)
async def test_only_patients_wait(world: World, rpc: str, fields: dict[str, Any]) -> None:
    nobody = await refused(world.call(rpc, **fields))
    assert nobody.code == grpc.StatusCode.UNAUTHENTICATED
    doctor = await refused(world.call(rpc, await world.person("doctor"), **fields))
    assert doctor.code == grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("rpc", ["LeaveWaitlist", "AcceptOffer", "DeclineOffer"])
async def test_what_is_no_id_is_refused(world: World, rpc: str) -> None:
    name = "entry_id" if rpc == "LeaveWaitlist" else "offer_id"
    call = world.call(rpc, await world.person(), request_id=uuid4(), **{name: "x"})
    assert [*(await refused(call)).fields] == [name]


@pytest.mark.parametrize(
    ("rpc", "fields", "named"),
    [
        ("ListWaitlist", {"practice_id": "x"}, "practice_id"),
        ("ListWaitlist", {"page_size": -1}, "page_size"),
        ("ListMyWaitlist", {"page_size": -1}, "page_size"),
    ],
)
async def test_a_list_of_what_cannot_be_is_refused(
    world: World, rpc: str, fields: dict[str, Any], named: str
) -> None:
    call = world.call(rpc, await world.person(), **fields)
    assert [*(await refused(call)).fields] == [named]


async def test_staff_need_a_token_to_see_who_waits(world: World) -> None:
    assert (await refused(world.call("ListWaitlist"))).code == grpc.StatusCode.UNAUTHENTICATED
