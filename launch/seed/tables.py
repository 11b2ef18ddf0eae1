"""The demo world as rows of the platform's tables, in an order that foreign keys allow."""

from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

from launch.seed.chance import Kind
from launch.seed.clinics import clinic, clinic_id, staffed_hospitals
from launch.seed.doctor_rows import doctor_tables, hours_tables
from launch.seed.doctors import doctor
from launch.seed.families import dependant_rows
from launch.seed.feed_rows import feed
from launch.seed.notification_rows import notifications
from launch.seed.people import Person, administrator, by_weight, staff
from launch.seed.rows import MEMBER, USER, Revisions, Rows
from launch.seed.visit_rows import visit_tables
from launch.seed.visits import Planner
from launch.seed.world import Chunk, World


def preface(world: World, password_hash: str) -> Iterator[Rows]:
    """Yield what comes before the doctors: the administrator, clinics, and who runs them."""
    hospitals = staffed_hospitals(world)
    count = world.size.clinics
    admin = administrator(world)
    people = [staff(world, n, world.city_of_clinic(n)) for n in range(count)]
    people += [staff(world, count + n, place) for n, (_, place) in enumerate(hospitals)]
    yield Rows("user_account", USER, (user(world, one) for one in (admin, *people)))
    yield credentials([admin, people[0]], password_hash)
    yield clinics(world)
    ids = [clinic_id(world, n) for n in range(count)] + [hospital for hospital, _ in hospitals]
    yield Rows("clinic_member", MEMBER, owners(world, ids, people))
    epochs = (world.chance.id(Kind.CHUNK, n) for n in range(len(ids)))
    yield Rows("clinic_feed", "clinic_id epoch", zip(ids, epochs, strict=False))


def user(world: World, one: Person) -> tuple[Any, ...]:
    zone = world.cities[one.city].city.time_zone
    created = one.create_time
    return (one.user_id, one.email, full_name(one), one.role, zone, "en", *[created] * 3)


def full_name(one: Person) -> str:
    return f"Dr. {one.full_name}" if one.role == "doctor" else one.full_name


def credentials(people: Iterable[Person], password_hash: str) -> Rows:
    """Let the demo accounts sign in; nobody else has a password."""
    rows = [(one.user_id, password_hash, one.create_time) for one in people]
    return Rows("credential", "user_id password_hash change_time", rows)


def clinics(world: World) -> Rows:
    columns = (
        "clinic_id kind name address city_id latitude longitude time_zone currency_code "
        "create_time update_time"
    )
    return Rows("clinic", columns, clinic_rows(world))


def clinic_rows(world: World) -> Iterator[tuple[Any, ...]]:
    for number in range(world.size.clinics):
        one = clinic(world, number)
        city = world.cities[one.city].city
        place = (city.city_id, one.latitude, one.longitude, city.time_zone, city.currency)
        times = (one.create_time, one.create_time)
        yield (one.clinic_id, "clinic", one.name, one.address, *place, *times)


def owners(world: World, clinics: list[UUID], people: list[Person]) -> Iterator[tuple[Any, ...]]:
    """Give each clinic its owner; the demo account of a clinic also manages two more."""
    for place, one in zip(clinics, people, strict=True):
        yield (place, one.user_id, "owner", one.create_time)
    for place in clinics[1 : min(3, world.size.clinics)]:
        yield (place, people[0].user_id, "manager", people[0].create_time)


def chunk_rows(
    world: World, chunk: Chunk, password_hash: str, revisions: Revisions
) -> Iterator[Rows]:
    """Yield all rows of one part of the world."""
    cities = by_weight(world)
    doctors = [doctor(world, number, cities) for number in chunk.doctors]
    planner = Planner(world, chunk)
    people = planner.patients + [one.person for one in doctors]
    yield Rows("user_account", USER, (user(world, one) for one in people))
    if chunk.number == 0:
        yield credentials([planner.patients[0], doctors[0].person], password_hash)
    yield dependant_rows(planner.dependants)
    yield from doctor_tables(world, doctors)
    yield from hours_tables(world, doctors)
    visits = list(planner.visits(doctors))
    yield from visit_tables(world, visits)
    yield feed(world, doctors, visits, revisions)
    if chunk.number == 0:
        yield notifications(world, doctors, visits)
