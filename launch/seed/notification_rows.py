"""What the demo accounts were told lately."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from launch.seed.chance import Kind
from launch.seed.doctors import DEMO_DOCTOR, Doctor
from launch.seed.people import DEMO_ACCOUNTS
from launch.seed.rows import Rows
from launch.seed.visits import Visit
from launch.seed.world import World

TITLES = {
    "booked": "Appointment booked",
    "completed": "Visit completed",
    "cancelled": "Appointment cancelled",
    "no_show": "Visit missed",
}
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
    if doctor.licence.decide_time:
        title, body = "You are verified", "Patients find you and book with you from now on."
        me = doctor.person.user_id
        yield Told(me, "doctor_verified", title, body, me, doctor.licence.decide_time)


def of_demo_patient(world: World, visits: list[Visit]) -> Iterator[Told]:
    mail = DEMO_ACCOUNTS["patient"][2]
    for one in visits:
        if one.patient.email == mail:
            yield told(world, one, one.patient.user_id, one.doctor.full_name)


def of_demo_doctor(world: World, visits: list[Visit]) -> Iterator[Told]:
    for one in visits:
        if one.doctor.number == DEMO_DOCTOR and one.status in {"booked", "cancelled"}:
            yield told(world, one, one.doctor.person.user_id, one.patient.full_name)


def told(world: World, visit: Visit, user_id: UUID, other: str) -> Told:
    local = visit.start.astimezone(world.cities[visit.doctor.person.city].zone)
    return Told(
        user_id,
        f"appointment_{visit.status}",
        TITLES[visit.status],
        f"{local:%A %d %B %Y, %H:%M}, with {other}.",
        world.chance.id(Kind.APPOINTMENT, visit.number),
        visit.decide_time,
    )
