"""What the demo accounts were told lately."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from launch.seed.chance import Kind
from launch.seed.clinics import clinic
from launch.seed.doctors import Doctor
from launch.seed.people import DEMO_ACCOUNTS, Person
from launch.seed.practices import DEMO_DOCTOR
from launch.seed.reference import hospitals as hospitals_known
from launch.seed.rows import Rows
from launch.seed.visits import Visit
from launch.seed.world import World
from server.notification import wording

Places = dict[UUID, tuple[str, str]]

LATEST = 12
UNREAD = timedelta(days=2)
COLUMNS = "notification_id user_id kind title body subject_id outbox_id create_time read_time"


class Told(NamedTuple):
    """One notification, still without the ids of its own."""

    user_id: UUID
    kind: str
    title: str
    body: str
    subject_id: UUID
    time: datetime


def notifications(world: World, doctors: list[Doctor], visits: list[Visit]) -> Rows:
    """Tell the demo doctor and patient of their latest visits; the last two days are unread."""
    told = [*verified(doctors[0]), *latest(of_demo_patient(world, visits))]
    told += latest(of_demo_doctor(world, visits))
    return Rows("notification", COLUMNS, (row(world, n, one) for n, one in enumerate(told)))


def row(world: World, number: int, one: Told) -> tuple[Any, ...]:
    old = one.time < world.now - UNREAD
    return (
        world.chance.id(Kind.NOTIFICATION, 2 * number),
        *one[:5],
        world.chance.id(Kind.NOTIFICATION, 2 * number + 1),
        one.time,
        one.time + timedelta(hours=1) if old else None,
    )


def latest(told: Iterator[Told]) -> list[Told]:
    return sorted(told, key=lambda one: one.time)[-LATEST:]


def verified(doctor: Doctor) -> Iterator[Told]:
    me, when = doctor.person.user_id, doctor.licence.decide_time
    if when:
        yield Told(me, "doctor_verified", *wording.verified(), me, when)


def of_demo_patient(world: World, visits: list[Visit]) -> Iterator[Told]:
    places = names_of_city(world)
    for one in visits:
        if one.patient.email == DEMO_ACCOUNTS["patient"][2]:
            words = wording.for_patient(f"appointment.{one.status}", shown(world, one, places))
            yield told(world, one, one.patient, words)


def of_demo_doctor(world: World, visits: list[Visit]) -> Iterator[Told]:
    places = names_of_city(world)
    for one in visits:
        if one.doctor.number == DEMO_DOCTOR and one.status in {"booked", "cancelled"}:
            words = wording.for_doctor(f"appointment.{one.status}", shown(world, one, places))
            yield told(world, one, one.doctor.person, words)


def told(world: World, visit: Visit, who: Person, words: wording.Words) -> Told:
    appointment = world.chance.id(Kind.APPOINTMENT, visit.number)
    return Told(who.user_id, f"appointment_{visit.status}", *words, appointment, visit.decide_time)


def names_of_city(world: World) -> Places:
    """Know every place of the demo accounts' city by its name and address."""
    clinics = [clinic(world, number) for number in world.clinics_in(0)]
    hospitals = [h for h in hospitals_known() if h.city == world.cities[0].city]
    return {c.clinic_id: (c.name, c.address) for c in clinics} | {
        h.hospital_id: (h.name, h.address) for h in hospitals
    }


def shown(world: World, one: Visit, places: Places) -> dict[str, Any]:
    """Write a visit the way the platform's sentences about it want it."""
    city = world.cities[one.doctor.person.city].city
    name, address = places[one.practice.clinic_id]
    return {
        "doctor_name": one.doctor.full_name,
        "patient_name": one.patient_name,
        "patient_id": one.patient_id,
        "account_id": one.patient.user_id,
        "clinic_name": name,
        "clinic_address": f"{address}, {city.name}",
        "start_time": one.start,
        "time_zone": city.time_zone,
        "cancelled_by": one.cancelled_by,
        "cancel_reason": one.cancel_reason,
    }
