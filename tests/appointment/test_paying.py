"""Visits that wait for their payment, at the service: no call makes one yet."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from launch.postgres import EmbeddedPostgres
from server.appointment import booking, paying, progress
from server.appointment.refusals import SlotTaken, TooLate
from server.appointment.states import IllegalStatusChange
from server.availability import service as availability
from server.core.clock import MovableClock
from server.core.db import Database
from tests.refusal import refused
from tests.world import Person, PracticeOf, World, tomorrow

TEN = timedelta(minutes=10)


@pytest.fixture
async def worker(postgres: EmbeddedPostgres) -> AsyncIterator[Database]:
    """The database as background work sees it, a quarter of an hour later."""
    database = await Database.connect(postgres.worker_dsn, MovableClock(1.5 * TEN), size=1)
    yield database
    await database.close()


async def begin(world: World, patient: Person, at: PracticeOf, start: datetime) -> UUID:
    """Book a visit that is to be paid within ten minutes, and answer its id."""
    lock = availability.lock_by_practice(at.practice_id)
    async with world.db.transaction(patient.caller, lock=lock) as tx:
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


async def extend(world: World, patient: Person, visit: UUID) -> Any:
    async with world.db.transaction(patient.caller, lock=progress.lock(visit)) as tx:
        return await paying.extend(tx, visit, TEN)


async def settle(world: World, patient: Person, visit: UUID) -> Any:
    async with world.db.transaction(patient.caller, lock=progress.lock(visit)) as tx:
        return await paying.settle(tx, visit)


async def prepared(world: World) -> tuple[PracticeOf, Person, datetime, UUID]:
    practice, patient = await world.practice(), await world.person()
    start = practice.at(tomorrow(practice), 10)
    return practice, patient, start, await begin(world, patient, practice, start)


async def test_a_time_is_kept_while_the_patient_pays(world: World) -> None:
    practice, patient, start, visit = await prepared(world)
    refusal = await refused(world.book(await world.person(), practice, start))
    assert refusal.reason == "SLOT_TAKEN"
    paid = await settle(world, patient, visit)
    assert (paid["status"], paid["payment_status"]) == ("booked", "settled")
    assert paid["expire_time"] is None
    with pytest.raises(IllegalStatusChange):
        await settle(world, patient, visit)


async def test_a_paid_visit_keeps_its_time_for_good(world: World, clock: MovableClock) -> None:
    practice, patient, start, visit = await prepared(world)
    await settle(world, patient, visit)
    clock.advance(2 * TEN)
    refusal = await refused(world.book(await world.person(), practice, start))
    assert refusal.reason == "SLOT_TAKEN"


async def test_a_payment_in_flight_extends_it_once(world: World, clock: MovableClock) -> None:
    practice, patient, start, visit = await prepared(world)
    kept = await extend(world, patient, visit)
    with pytest.raises(TooLate):
        await extend(world, patient, visit)
    clock.advance(1.5 * TEN)
    refusal = await refused(world.book(await world.person(), practice, start))
    assert refusal.reason == "SLOT_TAKEN"
    clock.set(kept["expire_time"])
    await world.book(await world.person(), practice, start)


async def test_what_has_expired_is_not_extended(world: World, clock: MovableClock) -> None:
    _, patient, _, visit = await prepared(world)
    clock.advance(TEN)
    with pytest.raises(TooLate):
        await extend(world, patient, visit)


async def test_a_late_payment_books_a_time_that_is_still_free(
    world: World, clock: MovableClock
) -> None:
    _, patient, _, visit = await prepared(world)
    clock.advance(2 * TEN)
    assert (await settle(world, patient, visit))["status"] == "booked"


async def test_a_late_payment_for_a_time_that_is_gone_is_refused(
    world: World, clock: MovableClock
) -> None:
    practice, patient, start, visit = await prepared(world)
    clock.advance(2 * TEN)
    await world.book(await world.person(), practice, start)
    with pytest.raises(SlotTaken):
        await settle(world, patient, visit)


async def test_of_two_payments_for_one_time_one_is_booked(
    world: World, clock: MovableClock
) -> None:
    practice, patient, start, visit = await prepared(world)
    clock.advance(2 * TEN)
    other = await world.person()
    second = await begin(world, other, practice, start)
    await settle(world, other, second)
    with pytest.raises(SlotTaken):
        await settle(world, patient, visit)


async def test_an_unpaid_visit_does_not_keep_its_patient_from_booking(
    world: World, clock: MovableClock
) -> None:
    _, patient, start, visit = await prepared(world)
    elsewhere = await world.practice()
    refusal = await refused(world.book(patient, elsewhere, start))
    assert refusal.reason == "PATIENT_BUSY"
    clock.advance(TEN)
    await world.book(patient, elsewhere, start)
    async with world.db.transaction(patient.caller) as tx:
        row = await progress.find(tx, visit)
    assert (row["status"], row["cancelled_by"]) == ("cancelled", "platform")
    assert row["payment_status"] == "voided"


async def test_a_patient_calls_off_what_they_do_not_pay(world: World) -> None:
    practice, patient, start, visit = await prepared(world)
    fields = {"request_id": str(visit), "appointment_id": visit}
    await world.call("CancelAppointment", patient, **fields)
    await world.book(await world.person(), practice, start)


async def test_the_job_calls_off_what_was_not_paid(live_world: World, worker: Database) -> None:
    _, patient, _, visit = await prepared(live_world)
    practice = await live_world.practice()
    paid_at = practice.at(tomorrow(practice), 12)
    paid = await begin(live_world, patient, practice, paid_at)
    await settle(live_world, patient, paid)
    while await paying.expire(worker):
        pass
    async with live_world.db.transaction(patient.caller) as tx:
        found = {one: (await progress.find(tx, one))["status"] for one in (visit, paid)}
    assert found == {visit: "cancelled", paid: "booked"}
