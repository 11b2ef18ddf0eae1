"""People without an account of their own, whom others bring along."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from launch.seed.chance import Kind
from launch.seed.people import Person, name
from launch.seed.rows import Rows
from launch.seed.world import World

EVERY = 8
YEAR = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Dependant:
    """A child of a patient."""

    patient_id: UUID
    account_id: UUID
    full_name: str
    birth_date: date
    create_time: datetime


def dependant(world: World, number: int, guardian: Person) -> Dependant:
    """Make the child of the patient with this number."""
    rng = world.chance.of(Kind.DEPENDANT, number)
    given, _ = name(rng, world.cities[guardian.city])
    return Dependant(
        world.chance.id(Kind.DEPENDANT, number),
        guardian.user_id,
        f"{given} {guardian.family}",
        world.today - rng.randrange(1, 15) * YEAR,
        guardian.create_time,
    )


def dependant_rows(dependants: Iterable[Dependant]) -> Rows:
    columns = "patient_id account_id full_name relation birth_date create_time"
    return Rows("patient", columns, map(row, dependants))


def row(one: Dependant) -> tuple[Any, ...]:
    whose = (one.patient_id, one.account_id, one.full_name)
    return (*whose, "child", one.birth_date, one.create_time)


def of_patients(world: World, numbers: range, patients: list[Person]) -> Iterator[Dependant]:
    """Yield the children of one in a few patients, the demo patient among them."""
    for number, guardian in zip(numbers, patients, strict=True):
        if number % EVERY == 0:
            yield dependant(world, number, guardian)
