"""A time that comes free goes to who waits: one at a time, in order, once."""

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest

from carelane.appointment.v1 import appointment_pb2
from carelane.waitlist.v1 import waitlist_pb2 as pb
from server.availability import edit
from server.availability.hours import Rule, Window
from server.core import wire
from server.waitlist import jobs
from server.waitlist.offers import LASTING
from tests.refusal import Refusal, refused
from tests.waitlist.conftest import Stage
from tests.world import Person


def start_of(offer: Any) -> datetime:
    return wire.to_time(offer.start_time, "start_time")


async def test_a_cancelled_time_is_offered_to_who_joined_first(stage: Stage) -> None:
    booked = await stage.fill()
    first, second = await stage.join(), await stage.join()
    await stage.work()
    assert await stage.offered(first, second) == [False, False]
    await stage.cancel(booked[1])
    await stage.work()
    assert await stage.offered(first, second) == [True, False]
    entry = await stage.entry(first)
    assert entry.status == pb.WAITLIST_STATUS_OFFERED
    assert start_of(entry.offer) == stage.at(10, 30)
    deadline = wire.to_time(entry.offer.expire_time, "expire_time")
    assert abs(deadline - stage.clock.now() - LASTING) < timedelta(seconds=20)


async def test_an_offered_time_is_kept_from_everybody_else(stage: Stage) -> None:
    booked = await stage.fill()
    first = await stage.join()
    await stage.cancel(booked[0])
    await stage.work()
    assert await stage.offered(first) == [True]
    somebody = await stage.world.person()
    quick = await refused(stage.world.book(somebody, stage.practice, stage.at(10)))
    assert quick.reason == "SLOT_TAKEN"


async def test_an_accepted_offer_is_a_booking(stage: Stage) -> None:
    booked = await stage.fill()
    first = await stage.join()
    await stage.cancel(booked[0])
    await stage.work()
    visit = (await stage.answer("AcceptOffer", first, reason="cough")).appointment
    assert visit.status == appointment_pb2.APPOINTMENT_STATUS_BOOKED
    assert start_of(visit) == stage.at(10)
    assert visit.reason == "cough"
    entry = await stage.entry(first)
    assert entry.status == pb.WAITLIST_STATUS_BOOKED
    assert not entry.HasField("offer")


async def test_an_offer_to_a_dependant_is_told_to_who_books_and_books_for_the_dependant(
    stage: Stage,
) -> None:
    guardian = await stage.world.person()
    child = await stage.world.dependant(guardian)
    await stage.join(person=guardian, patient_id=child)
    await stage.work()
    ((kind, body),) = await told(stage, guardian)
    assert kind == "waitlist_offered"
    assert "Dr. Meera Nair can see Kiran Rao on " in body
    fields = {"offer_id": (await stage.entry(guardian)).offer.offer_id}
    somebody = stage.world.call("AcceptOffer", await stage.world.person(), **fields, **once())
    assert (await refused(somebody)).code == grpc.StatusCode.NOT_FOUND
    visit = (await stage.answer("AcceptOffer", guardian)).appointment
    assert (visit.patient.patient_id, visit.patient.full_name) == (child, "Kiran Rao")
    assert (await stage.entry(guardian)).status == pb.WAITLIST_STATUS_BOOKED


async def test_a_dependant_who_has_ended_waits_no_more(stage: Stage) -> None:
    guardian = await stage.world.person()
    child = await stage.world.dependant(guardian)
    await stage.join(person=guardian, patient_id=child)
    await stage.world.call("EndDependant", guardian, patient_id=child, **once())
    await stage.work()
    assert await stage.offered(guardian) == [False]
    await jobs.sweep(stage.worker)
    assert (await stage.entry(guardian)).status == pb.WAITLIST_STATUS_ENDED


async def test_an_offer_that_lapses_goes_to_the_next_one(stage: Stage) -> None:
    booked = await stage.fill()
    first, second, third = [await stage.join() for _ in range(3)]
    await stage.cancel(booked[0])
    await stage.work()
    late = (await stage.entry(first)).offer.offer_id
    await stage.later(minutes=31)
    assert await stage.offered(first, second, third) == [False, True, False]
    accept = stage.world.call("AcceptOffer", first, request_id=uuid4(), offer_id=late)
    assert (await refused(accept)).reason == "OFFER_ENDED"
    await stage.later(minutes=31)
    assert await stage.offered(first, second, third) == [False, False, True]
    await stage.later(minutes=31)
    assert await stage.offered(first, second, third) == [False, False, False]
    assert (await stage.entry(first)).status == pb.WAITLIST_STATUS_WAITING
    await stage.world.book(await stage.world.person(), stage.practice, stage.at(10))


async def test_an_offer_is_over_at_its_deadline_before_any_job_runs(stage: Stage) -> None:
    booked = await stage.fill()
    first = await stage.join()
    await stage.cancel(booked[0])
    await stage.work()
    stage.clock.advance(timedelta(minutes=31))
    assert (await refused(stage.answer("AcceptOffer", first))).reason == "OFFER_ENDED"
    assert (await refused(stage.answer("DeclineOffer", first))).reason == "OFFER_ENDED"


async def test_a_declined_time_goes_to_the_next_one_at_once(stage: Stage) -> None:
    booked = await stage.fill()
    first, second = await stage.join(), await stage.join()
    await stage.cancel(booked[0])
    await stage.work()
    request_id = uuid4()
    offer_id = (await stage.entry(first)).offer.offer_id
    decline = {"request_id": request_id, "offer_id": offer_id}
    declined = (await stage.world.call("DeclineOffer", first, **decline)).entry
    assert declined.status == pb.WAITLIST_STATUS_WAITING
    assert (await stage.world.call("DeclineOffer", first, **decline)).entry == declined
    await stage.work()
    assert await stage.offered(first, second) == [False, True]


async def test_who_leaves_gives_the_offered_time_to_the_next_one(stage: Stage) -> None:
    booked = await stage.fill()
    first, second = await stage.join(), await stage.join()
    await stage.cancel(booked[0])
    await stage.work()
    entry_id = (await stage.entry(first)).entry_id
    await stage.world.call("LeaveWaitlist", first, request_id=uuid4(), entry_id=entry_id)
    await stage.work()
    assert await stage.offered(first, second) == [False, True]


async def test_two_free_times_go_to_two_people(stage: Stage) -> None:
    booked = await stage.fill()
    people = [await stage.join() for _ in range(3)]
    for each in booked:
        await stage.cancel(each)
    await stage.work()
    assert await stage.offered(*people) == [True, True, False]
    starts = [start_of((await stage.entry(person)).offer) for person in people[:2]]
    assert starts == [stage.at(10), stage.at(10, 30)]


async def test_each_seat_of_a_group_goes_to_one(stage: Stage) -> None:
    await stage.open(capacity=2)
    people = [await stage.join(latest={"hours": 10}) for _ in range(3)]
    await stage.work()
    assert await stage.offered(*people) == [True, True, False]
    await stage.answer("AcceptOffer", people[0])
    await stage.answer("DeclineOffer", people[1])
    await stage.work()
    assert await stage.offered(*people) == [False, False, True]
    await stage.answer("AcceptOffer", people[2])
    full = stage.world.book(await stage.world.person(), stage.practice, stage.at(10))
    assert (await refused(full)).reason == "SLOT_TAKEN"


async def test_an_account_keeps_the_seat_that_it_was_offered_first(stage: Stage) -> None:
    await stage.open(capacity=2)
    guardian = await stage.world.person()
    for child in [await stage.world.dependant(guardian) for _ in range(2)]:
        await stage.join(person=guardian, latest={"hours": 10}, patient_id=child)
    await stage.work()
    entries = (await stage.world.call("ListMyWaitlist", guardian)).entries
    assert [entry.HasField("offer") for entry in entries] == [True, False]
    fields = {"offer_id": entries[0].offer.offer_id, **once()}
    await stage.world.call("AcceptOffer", guardian, **fields)
    await jobs.sweep(stage.worker)
    await stage.work()
    (entry,) = (await stage.world.call("ListMyWaitlist", guardian)).entries
    assert start_of(entry.offer) == stage.at(10)


async def test_a_time_that_is_free_already_is_offered_to_who_joins(stage: Stage) -> None:
    first = await stage.join()
    await stage.work()
    assert await stage.offered(first) == [True]


async def test_a_time_that_a_visit_moved_away_from_is_offered(stage: Stage) -> None:
    (patient, visit), _ = await stage.fill()
    first = await stage.join()
    await stage.work()
    later = {"start_time": stage.at(10) + timedelta(days=1)}
    moved = {"appointment_id": visit.appointment_id, **later, **once()}
    await stage.world.call("RescheduleAppointment", patient, **moved)
    await stage.work()
    assert start_of((await stage.entry(first)).offer) == stage.at(10)


async def hold_expires(stage: Stage) -> datetime:
    stage.clock.advance(timedelta(minutes=11))
    return stage.at(10)


async def doctor_opens_longer(stage: Stage) -> datetime:
    rules = tuple(Rule(weekday, Window(10 * 60, 12 * 60)) for weekday in range(1, 8))
    async with stage.world.db.transaction(stage.practice.doctor.caller) as tx:
        old = await edit.find_hours(tx, stage.practice.practice_id)
        await edit.set_hours(tx, old, rules, {}, allow_stranded=False)
    return stage.at(11)


@pytest.mark.parametrize("free", [hold_expires, doctor_opens_longer])
async def test_a_time_that_comes_free_in_any_other_way_is_offered_within_a_minute(
    stage: Stage, free: Any
) -> None:
    holder = await stage.world.person()
    for minute in (0, 30):
        held = {"practice_id": stage.practice.practice_id, "start_time": stage.at(10, minute)}
        await stage.world.call("HoldSlot", holder, **held, **once())
    first = await stage.join()
    await stage.work()
    assert await stage.offered(first) == [False]
    wanted = await free(stage)
    await jobs.sweep(stage.worker)
    await stage.work()
    assert start_of((await stage.entry(first)).offer) == wanted


async def test_hours_and_days_that_do_not_suit_are_passed_over(stage: Stage) -> None:
    late = await stage.join(earliest={"hours": 10, "minutes": 15})
    other_day = await stage.join(days_of_week=[(stage.day + timedelta(days=1)).isoweekday()])
    early = await stage.join(latest={"hours": 10})
    await stage.work()
    assert await stage.offered(late, other_day, early) == [True, False, True]
    assert start_of((await stage.entry(late)).offer) == stage.at(10, 30)
    assert start_of((await stage.entry(early)).offer) == stage.at(10)


async def test_however_many_wait_for_what_never_comes_others_are_offered_a_time(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "MOST_ASKED", 2)
    evening = {"earliest": {"hours": 18}}
    idle = [await stage.join(**evening) for _ in range(4)]
    last = await stage.join()
    await stage.work()
    assert await stage.offered(*idle, last) == [False] * 4 + [True]


async def test_who_has_another_visit_then_is_offered_another_time(stage: Stage) -> None:
    first = await stage.join(latest={"hours": 10})
    elsewhere = await stage.world.practice()
    await stage.world.book(first, elsewhere, elsewhere.at(stage.day, 10))
    await stage.work()
    assert await stage.offered(first) == [False]


async def test_an_offered_patient_may_book_the_time_like_any_other(stage: Stage) -> None:
    first = await stage.join()
    await stage.work()
    await stage.world.book(first, stage.practice, stage.at(10))
    again = await refused(stage.answer("AcceptOffer", first))
    assert again.reason in {"SLOT_TAKEN", "PATIENT_BUSY"}


async def test_an_offer_of_another_does_not_exist(stage: Stage) -> None:
    first, stranger = await stage.join(), await stage.world.person()
    await stage.work()
    offer_id = (await stage.entry(first)).offer.offer_id
    for rpc_name in ("AcceptOffer", "DeclineOffer"):
        call = stage.world.call(rpc_name, stranger, request_id=uuid4(), offer_id=offer_id)
        assert (await refused(call)).code == grpc.StatusCode.NOT_FOUND
    assert await stage.offered(first) == [True]


async def test_an_entry_ends_with_its_last_day(stage: Stage) -> None:
    await stage.fill()
    first = await stage.join()
    await stage.later(days=4)
    await jobs.sweep(stage.worker)
    assert (await stage.entry(first)).status == pb.WAITLIST_STATUS_ENDED


async def test_patients_are_told_of_offers_and_of_their_end(stage: Stage) -> None:
    first = await stage.join()
    await stage.work()
    await stage.later(minutes=31)
    news = await told(stage, first)
    assert [kind for kind, _ in news] == ["waitlist_offered", "waitlist_lapsed", "waitlist_offered"]
    assert "at 10:00 (Asia/Kolkata) at Lakeside Clinic. Accept it by " in news[0][1]


async def test_an_offer_accepted_many_times_at_once_books_once(stage: Stage) -> None:
    first = await stage.join()
    await stage.work()
    offer_id = (await stage.entry(first)).offer.offer_id
    calls = (accepted(stage, first, offer_id) for _ in range(20))
    results = Counter(await asyncio.gather(*calls))
    assert results == {"booked": 1, "OFFER_ENDED": 19}
    visits = (await stage.world.call("ListAppointments", first)).appointments
    assert [visit.status for visit in visits] == [appointment_pb2.APPOINTMENT_STATUS_BOOKED]


async def test_the_same_request_twice_at_once_gets_one_answer(stage: Stage) -> None:
    first = await stage.join()
    await stage.work()
    fields = {"request_id": uuid4(), "offer_id": (await stage.entry(first)).offer.offer_id}
    calls = (stage.world.call("AcceptOffer", first, **fields) for _ in range(10))
    answers = await asyncio.gather(*calls)
    assert len({answer.appointment.appointment_id for answer in answers}) == 1
    assert len((await stage.world.call("ListAppointments", first)).appointments) == 1


async def test_accepting_declining_and_leaving_at_once_have_one_winner(stage: Stage) -> None:
    for _ in range(4):
        await stage.open()
        first = await stage.join(latest={"hours": 10})
        await stage.work()
        entry = await stage.entry(first)
        offer_id = entry.offer.offer_id
        await asyncio.gather(
            ended(stage, first, "AcceptOffer", offer_id=offer_id),
            ended(stage, first, "LeaveWaitlist", entry_id=entry.entry_id),
            ended(stage, first, "AcceptOffer", offer_id=offer_id),
            ended(stage, first, "DeclineOffer", offer_id=offer_id),
        )
        visits = (await stage.world.call("ListAppointments", first)).appointments
        is_booked = (await stage.entry(first)).status == pb.WAITLIST_STATUS_BOOKED
        is_accepted = await status_of(stage, first, offer_id) == "accepted"
        assert len(visits) == is_booked == is_accepted


async def test_an_offer_and_bookings_at_once_give_each_time_to_one(stage: Stage) -> None:
    for _ in range(3):
        await stage.open()
        waiting = [await stage.join() for _ in range(2)]
        others = [await stage.world.person() for _ in range(8)]
        await stage.relay()
        quick = (booked(stage, each, 30 * (n % 2)) for n, each in enumerate(others))
        _, *results = await asyncio.gather(stage.work(), *quick)
        taken = results.count("booked") + sum(await stage.offered(*waiting))
        assert taken == 2
        assert set(results) <= {"booked", "SLOT_TAKEN"}


async def test_many_workers_offer_each_time_to_one(stage: Stage) -> None:
    people = [await stage.join() for _ in range(6)]
    await jobs.sweep(stage.worker)
    await asyncio.gather(*(stage.work() for _ in range(4)))
    offers = [(await stage.entry(person)).offer for person in people]
    starts = [start_of(offer) for offer in offers if offer.offer_id]
    assert sorted(starts) == [stage.at(10), stage.at(10, 30)]
    assert await stage.offered(*people[:2]) == [True, True]


async def test_a_practice_that_cannot_be_looked_at_holds_up_no_other(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await stage.join()
    await stage.work()
    await stage.answer("DeclineOffer", first)
    await stage.relay()
    monkeypatch.setattr(jobs, "first_fit", broken)
    with pytest.raises(ZeroDivisionError):
        await jobs.offer(stage.worker)
    monkeypatch.undo()
    assert not await jobs.offer(stage.worker)
    await stage.later(minutes=2)
    assert await stage.offered(first) == [True]


def once() -> dict[str, Any]:
    return {"request_id": uuid4()}


async def told(stage: Stage, person: Person) -> list[tuple[str, str]]:
    """Answer what somebody was told: kinds and texts, the oldest first."""
    async with stage.world.db.transaction(person.caller) as tx:
        query = "SELECT kind, body FROM notification ORDER BY create_time"
        return [tuple(row) for row in await tx._connection.fetch(query)]


def broken(*_: Any) -> None:
    raise ZeroDivisionError


async def booked(stage: Stage, person: Person, minute: int) -> str:
    try:
        await stage.world.book(person, stage.practice, stage.at(10, minute))
    except grpc.aio.AioRpcError as error:
        return Refusal(error).reason
    return "booked"


async def status_of(stage: Stage, person: Person, offer_id: str) -> str:
    async with stage.world.db.transaction(person.caller) as tx:
        query = "SELECT status FROM waitlist_offer WHERE offer_id = $1"
        return str(await tx._connection.fetchval(query, offer_id))


async def accepted(stage: Stage, person: Person, offer_id: str) -> str:
    return await ended(stage, person, "AcceptOffer", offer_id=offer_id) or "booked"


async def ended(stage: Stage, person: Person, rpc_name: str, **fields: Any) -> str:
    """Call, and answer the reason of a refusal."""
    try:
        await stage.world.call(rpc_name, person, request_id=uuid4(), **fields)
    except grpc.aio.AioRpcError as error:
        return Refusal(error).reason
    return ""
