"""Booking, as a patient calls it."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import grpc

from server.availability.hours import Rule, Window
from tests.world import World, refused, tomorrow


async def test_a_patient_books_a_free_time(world: World) -> None:
    practice, patient = await world.practice(), await world.person()
    start = practice.at(tomorrow(practice), 10)
    visit = await world.book(patient, practice, start)
    assert visit.start_time.ToDatetime(tzinfo=practice.zone) == start
    assert visit.end_time.ToDatetime(tzinfo=practice.zone) == start + timedelta(minutes=30)
    assert (visit.doctor_name, visit.clinic_name) == ("Dr. Meera Nair", "Lakeside Clinic")
    assert visit.patient.full_name == "Asha Rao"
    assert (visit.price.units, visit.price.currency_code) == (500, "INR")
    assert visit.transaction.status == 1
    assert visit.time_zone == "Asia/Kolkata"


async def test_a_taken_slot_is_refused(world: World) -> None:
    practice = await world.practice()
    start = practice.at(tomorrow(practice), 10)
    await world.book(await world.person(), practice, start)
    refusal = await refused(world.book(await world.person(), practice, start))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "SLOT_TAKEN")
