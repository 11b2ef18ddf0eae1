"""Visits that wait for their payment, at the service: no call makes one yet."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from google.type import money_pb2
from sqlalchemy import Boolean, column, func, select, table

from carelane.availability.v1 import visit_type_pb2
from launch.postgres import EmbeddedPostgres
from server.appointment import booking, holding, paying, progress
from server.appointment.refusals import SlotTaken, TooLate
from server.appointment.states import IllegalStatusChange
from server.availability import service as availability
from server.core import wire
from server.core.clock import MovableClock
from server.core.db import Database, sql
from server.waitlist import jobs
from tests.refusal import refused
from tests.world import Person, PracticeOf, World, tomorrow

TEN = timedelta(minutes=10)
_LOCKS = table("pg_locks", column("granted", Boolean))
WAITING = sql(select(func.count().label("n")).select_from(_LOCKS).where(~_LOCKS.c.granted))
TEST = "a test"  # stands in the audit for the request


@pytest.fixture
async def world(
    postgres: EmbeddedPostgres, clock: MovableClock, city_id: UUID
) -> AsyncIterator[World]:
    """The services on the database that commits, so that background work sees what they do."""
    database = await Database.connect(postgres.app_dsn, clock, size=2)
    made = World(database, city_id)
    yield made
    await made.channel.close()
    await database.close()


@pytest.fixture
async def worker(postgres: EmbeddedPostgres, clock: MovableClock) -> AsyncIterator[Database]:
    """The database as background work sees it; payments are the platform's, not the patient's."""
    database = await Database.connect(postgres.worker_dsn, clock, size=1)
    yield database
    await database.close()


async def begin(world: World, patient: Person, at: PracticeOf, start: datetime) -> UUID:
    """Book a visit that is to be paid within ten minutes, and answer its id."""
    lock = availability.lock_by_practice(at.practice_id)
    async with world.db.transaction(patient.caller, lock=lock, request_id=TEST) as tx:
        row = await booking.book(
            tx,
            patient.user_id,
            practice_id=at.practice_id,
            visit_type_id=None,
            start=start,
            reason="",
            pay_within=TEN,
        )
    assert row["status"] == "pending_payment"
    return UUID(str(row["appointment_id"]))


async def extend(worker: Database, visit: UUID) -> Any:
    async with worker.transaction(lock=progress.lock(visit), request_id=TEST) as tx:
        return await paying.extend(tx, visit, TEN)


async def settle(worker: Database, visit: UUID) -> Any:
    async with worker.transaction(lock=progress.lock(visit), request_id=TEST) as tx:
        return await paying.settle(tx, visit)


async def prepared(world: World) -> tuple[PracticeOf, Person, datetime, UUID]:
    practice, patient = await world.practice(), await world.person()
    start = practice.at(tomorrow(practice), 10)
    return practice, patient, start, await begin(world, patient, practice, start)


async def test_a_time_is_kept_while_the_patient_pays(world: World, worker: Database) -> None:
    practice, _, start, visit = await prepared(world)
    refusal = await refused(world.book(await world.person(), practice, start))
    assert refusal.reason == "SLOT_TAKEN"
    paid = await settle(worker, visit)
    assert (paid["status"], paid["payment_status"]) == ("booked", "settled")
    assert paid["expire_time"] is None
    with pytest.raises(IllegalStatusChange):
        await settle(worker, visit)


async def test_a_paid_visit_keeps_its_time_for_good(
    world: World, worker: Database, clock: MovableClock
) -> None:
    practice, _, start, visit = await prepared(world)
    await settle(worker, visit)
    clock.advance(2 * TEN)
    refusal = await refused(world.book(await world.person(), practice, start))
    assert refusal.reason == "SLOT_TAKEN"


async def test_a_payment_in_flight_extends_it_once(
    world: World, worker: Database, clock: MovableClock
) -> None:
    practice, _, start, visit = await prepared(world)
    kept = await extend(worker, visit)
    with pytest.raises(TooLate):
        await extend(worker, visit)
    clock.advance(1.5 * TEN)
    refusal = await refused(world.book(await world.person(), practice, start))
    assert refusal.reason == "SLOT_TAKEN"
    clock.set(kept["expire_time"])
    await world.book(await world.person(), practice, start)


async def test_what_has_expired_is_not_extended(
    world: World, worker: Database, clock: MovableClock
) -> None:
    _, _, _, visit = await prepared(world)
    clock.advance(TEN)
    with pytest.raises(TooLate):
        await extend(worker, visit)


async def test_a_visit_of_what_is_retired_meanwhile_is_booked_when_it_is_paid(
    world: World, worker: Database
) -> None:
    practice, _, _, visit = await prepared(world)
    rules = visit_type_pb2.BookingRules(
        name="Consultation",
        length_minutes=30,
        horizon_days=60,
        price=money_pb2.Money(currency_code="INR", units=500),
        retired=True,
    )
    kept = {"visit_type_id": practice.visit_type_id, "request_id": uuid4()}
    await world.call("UpdateVisitType", practice.doctor, rules=rules, **kept)
    assert (await settle(worker, visit))["status"] == "booked"


async def test_a_late_payment_books_a_time_that_is_still_free(
    world: World, worker: Database, clock: MovableClock
) -> None:
    _, _, _, visit = await prepared(world)
    clock.advance(2 * TEN)
    assert (await settle(worker, visit))["status"] == "booked"


async def test_a_late_payment_for_a_time_that_is_gone_is_refused(
    world: World, worker: Database, clock: MovableClock
) -> None:
    practice, _, start, visit = await prepared(world)
    clock.advance(2 * TEN)
    await world.book(await world.person(), practice, start)
    with pytest.raises(SlotTaken):
        await settle(worker, visit)


async def test_of_two_payments_for_one_time_one_is_booked(
    world: World, worker: Database, clock: MovableClock
) -> None:
    practice, _, start, visit = await prepared(world)
    clock.advance(2 * TEN)
    other = await world.person()
    second = await begin(world, other, practice, start)
    await settle(worker, second)
    with pytest.raises(SlotTaken):
        await settle(worker, visit)


Taking = Callable[[World, Person, PracticeOf, datetime], Awaitable[Any]]


async def by_hold(world: World, patient: Person, at: PracticeOf, start: datetime) -> None:
    fields = {"practice_id": at.practice_id, "start_time": start}
    held = (await world.call("HoldSlot", patient, request_id=uuid4(), **fields)).hold
    await world.book(patient, at, start, hold_id=held.hold_id)


async def by_family(world: World, patient: Person, at: PracticeOf, start: datetime) -> None:
    visit = {"practice_id": str(at.practice_id), "start_time": wire.from_time(start)}
    await world.call("BookFamily", patient, request_id=uuid4(), visits=[visit])


async def by_series(world: World, patient: Person, at: PracticeOf, start: datetime) -> None:
    visit: dict[str, Any] = {"practice_id": at.practice_id, "start_time": start}
    weekly = {"every_weeks": 1, "visit_count": 2}
    await world.call("BookSeries", patient, request_id=uuid4(), **visit, **weekly)


async def by_move(world: World, patient: Person, at: PracticeOf, start: datetime) -> None:
    visit = await world.book(patient, at, start + 6 * TEN)
    where = {"appointment_id": visit.appointment_id, "start_time": start}
    await world.call("RescheduleAppointment", patient, request_id=uuid4(), **where)


async def by_clinic(world: World, patient: Person, at: PracticeOf, start: datetime) -> None:
    visit = await world.book(patient, at, start + 6 * TEN)
    where = {"appointment_id": visit.appointment_id, "start_time": start}
    await world.call("RescheduleAppointment", at.owner, request_id=uuid4(), **where)


@pytest.mark.parametrize("take", [World.book, by_hold, by_family, by_series, by_move, by_clinic])
async def test_a_lapsed_visit_keeps_its_patient_from_nothing(
    world: World, clock: MovableClock, take: Taking
) -> None:
    _, patient, start, visit = await prepared(world)
    elsewhere = await world.practice()
    refusal = await refused(world.book(patient, elsewhere, start))
    assert refusal.reason == "PATIENT_BUSY"
    clock.advance(TEN)
    await take(world, patient, elsewhere, start)
    async with world.db.transaction(patient.caller) as tx:
        row = await progress.find(tx, visit)
    assert (row["status"], row["cancelled_by"]) == ("cancelled", "platform")
    assert row["payment_status"] == "voided"


async def test_a_lapsed_visit_keeps_its_patient_from_no_offer(
    world: World, worker: Database, clock: MovableClock
) -> None:
    _, patient, start, visit = await prepared(world)
    clock.advance(TEN)
    day, hours = start.date(), {"earliest": {"hours": 10}, "latest": {"hours": 10}}
    elsewhere = {"practice_id": (await world.practice()).practice_id}
    wish = {"from_date": day, "until_date": day, **elsewhere, **hours}
    await world.call("JoinWaitlist", patient, request_id=uuid4(), **wish)
    await jobs.sweep(worker)
    while not (entry := (await world.call("ListMyWaitlist", patient)).entries[0]).HasField("offer"):
        assert await jobs.offer(worker)
    assert entry.offer.start_time.seconds == int(start.timestamp())
    offered = {"request_id": uuid4(), "offer_id": entry.offer.offer_id}
    await world.call("AcceptOffer", patient, **offered)
    async with world.db.transaction(patient.caller) as tx:
        assert (await progress.find(tx, visit))["status"] == "cancelled"


async def test_tidying_up_spares_a_session_that_is_joined_meanwhile(
    world: World, worker: Database, clock: MovableClock
) -> None:
    camp, other = await world.practice(capacity=3, interval_minutes=10), await world.person()
    start = camp.at(tomorrow(camp), 10)
    fields = {"practice_id": camp.practice_id, "start_time": start}
    await world.call("HoldSlot", await world.person(), request_id=uuid4(), **fields)
    lock = holding.lock(camp.practice_id, other.caller)
    async with world.db.transaction(other.caller, lock=lock, request_id=TEST) as tx:
        place: dict[str, Any] = {"practice_id": camp.practice_id, "visit_type_id": None}
        await holding.hold(tx, other.user_id, **place, start=start, lasting=6 * TEN)
        clock.advance(TEN)
        tidying = asyncio.create_task(paying.expire(worker))
        while not (waiting := await world.db.one(WAITING)) or not waiting["n"]:
            assert not tidying.done()
    await tidying
    refusal = await refused(world.book(await world.person(), camp, start + TEN))
    assert refusal.reason == "SLOT_TAKEN"


async def test_a_lapsed_visit_keeps_no_missed_one_from_coming_back(
    world: World, clock: MovableClock
) -> None:
    practice, other, patient = await world.practice(), await world.practice(), await world.person()
    start = practice.at(tomorrow(practice), 10)
    missed = await world.book(patient, practice, start)
    changed = {"appointment_id": missed.appointment_id}
    clock.set(start)
    await world.call("MarkNoShow", practice.doctor, request_id=uuid4(), **changed)
    clock.set(start - TEN / 2)
    await begin(world, patient, other, start)
    clock.advance(TEN)
    await world.call("UndoNoShow", practice.doctor, request_id=uuid4(), **changed)


async def test_a_patient_calls_off_what_they_do_not_pay(world: World) -> None:
    practice, patient, start, visit = await prepared(world)
    fields = {"request_id": str(visit), "appointment_id": visit}
    await world.call("CancelAppointment", patient, **fields)
    await world.book(await world.person(), practice, start)


async def test_the_job_calls_off_what_was_not_paid(
    world: World, worker: Database, clock: MovableClock
) -> None:
    _, patient, _, visit = await prepared(world)
    practice = await world.practice()
    paid_at = practice.at(tomorrow(practice), 12)
    paid = await begin(world, patient, practice, paid_at)
    await settle(worker, paid)
    clock.advance(1.5 * TEN)
    while await paying.expire(worker):
        pass
    async with world.db.transaction(patient.caller) as tx:
        found = {one: (await progress.find(tx, one))["status"] for one in (visit, paid)}
    assert found == {visit: "cancelled", paid: "booked"}
