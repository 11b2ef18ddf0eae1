"""Visits as rows: appointments, the time they claim, payments."""

from collections.abc import Iterator
from typing import Any

from launch.seed.chance import Kind
from launch.seed.doctor_rows import amount
from launch.seed.rows import Rows
from launch.seed.visits import Visit
from launch.seed.world import World

PAYMENTS = {
    "booked": "pending",
    "completed": "settled",
    "cancelled": "voided",
    "no_show": "voided",
}


def visit_tables(world: World, visits: list[Visit]) -> Iterator[Rows]:
    columns = (
        "appointment_id clinic_id practice_id doctor_id patient_id visit_type_id "
        "visit_type_name status start_time end_time local_date price currency_code reason "
        "confirm_time cancelled_by cancel_reason create_time update_time"
    )
    yield Rows("appointment", columns, (appointment(world, one) for one in visits))
    columns = "claim_id doctor_id start_time end_time kind"
    yield Rows("claim", columns, claims(world, visits))
    columns = (
        "transaction_id clinic_id appointment_id patient_id doctor_id amount currency_code "
        "status settle_time create_time"
    )
    yield Rows("payment_transaction", columns, (payment(world, one) for one in visits))


def appointment(world: World, one: Visit) -> tuple[Any, ...]:
    city = world.cities[one.doctor.person.city]
    practice, kind = one.practice, one.visit_type
    return (
        world.chance.id(Kind.APPOINTMENT, one.number),
        practice.clinic_id,
        practice.practice_id,
        one.doctor.person.user_id,
        one.patient_id,
        kind.visit_type_id,
        kind.name,
        one.status,
        one.start,
        one.end,
        one.start.astimezone(city.zone).date(),
        amount(kind.price),
        city.city.currency,
        one.reason,
        one.confirm_time,
        one.cancelled_by,
        one.cancel_reason,
        one.create_time,
        one.decide_time,
    )


def claims(world: World, visits: list[Visit]) -> Iterator[tuple[Any, ...]]:
    """Claim the time of every visit that was not called off."""
    for one in visits:
        if one.status != "cancelled":
            claim = world.chance.id(Kind.APPOINTMENT, one.number)
            yield (claim, one.doctor.person.user_id, one.start, one.end, "appointment")


def payment(world: World, one: Visit) -> tuple[Any, ...]:
    status = PAYMENTS[one.status]
    return (
        world.chance.id(Kind.TRANSACTION, one.number),
        one.practice.clinic_id,
        world.chance.id(Kind.APPOINTMENT, one.number),
        one.patient_id,
        one.doctor.person.user_id,
        amount(one.visit_type.price),
        world.cities[one.doctor.person.city].city.currency,
        status,
        one.decide_time if status == "settled" else None,
        one.create_time,
    )
