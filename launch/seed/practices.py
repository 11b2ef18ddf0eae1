"""Where doctors work: fees, visit types, hours and the days that differ from them."""

import random
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache
from uuid import UUID

from launch.seed import reference
from launch.seed.chance import Chance, Kind, Weighted
from launch.seed.clinics import workplaces
from launch.seed.hours import Window, demo_week, week
from launch.seed.places import DemoCity
from launch.seed.world import COMING_DAYS, World

PLACES = Weighted((1, 2, 3), (6, 3, 1))
DEMO_SPECIALTY = "general-physician"
DEMO_DOCTOR = 0


@dataclass(frozen=True, slots=True)
class Figures:
    """What a specialty is like in practice: `fee` relative to the country's usual one."""

    specialty: reference.Specialty
    degree: str
    fee: float
    follow_up: bool
    minutes: int


@dataclass(frozen=True, slots=True)
class VisitType:
    """What can be booked at a practice; the price is in minor units."""

    visit_type_id: UUID
    name: str
    minutes: int
    price: int


@dataclass(frozen=True, slots=True)
class Practice:
    """A doctor at one clinic, with the first visit type as the default one."""

    number: int
    practice_id: UUID
    clinic_id: UUID
    fee: int
    visit_types: list[VisitType]
    windows: list[Window]

    @property
    def minutes(self) -> int:
        return self.visit_types[0].minutes


@dataclass(frozen=True, slots=True)
class Override:
    """A local day of a practice that differs from the week; no windows means closed."""

    practice: Practice
    day: date
    windows: list[Window]


@cache
def figures() -> Weighted[Figures]:
    rows = {row["slug"]: row for row in reference.table("specialty_practice.csv")}
    items = [
        Figures(
            specialty,
            rows[specialty.slug]["degree"],
            float(rows[specialty.slug]["fee"]),
            rows[specialty.slug]["follow_up"] == "1",
            int(rows[specialty.slug]["minutes"]),
        )
        for specialty in reference.specialties()
    ]
    return Weighted(items, [int(rows[item.specialty.slug]["share"]) for item in items])


@cache
def demo_figures() -> Figures:
    return next(item for item in figures().items if item.specialty.slug == DEMO_SPECIALTY)


def practices(
    world: World, rng: random.Random, number: int, place: int, field: Figures
) -> list[Practice]:
    demo = number == DEMO_DOCTOR
    first = 0 if demo else rng.randrange(1 << 30)
    clinics = workplaces(world, place, 2 if demo else PLACES.pick(rng), first)
    weeks = demo_week() if demo else week(rng, len(clinics))
    fee = price(rng, world.cities[place], field.fee)
    return [
        practice(world.chance, number * 4 + i, clinic, fee, field, windows)
        for i, (clinic, windows) in enumerate(zip(clinics, weeks, strict=False))
    ]


def price(rng: random.Random, city: DemoCity, factor: float) -> int:
    """Choose a fee in minor units, rounded as fees are in that country."""
    fee = city.country.fee * factor * rng.uniform(0.7, 1.5)
    return max(1, round(fee / city.country.step)) * city.country.step


def practice(
    chance: Chance, number: int, clinic: UUID, fee: int, field: Figures, windows: list[Window]
) -> Practice:
    main = VisitType(chance.id(Kind.VISIT_TYPE, number * 2), "Consultation", field.minutes, fee)
    types = [main]
    if field.follow_up:
        again = chance.id(Kind.VISIT_TYPE, number * 2 + 1)
        types.append(replace(main, visit_type_id=again, name="Follow-up", price=fee // 2))
    return Practice(number, chance.id(Kind.PRACTICE, number), clinic, fee, types, windows)


def overrides(
    world: World, rng: random.Random, number: int, places: list[Practice]
) -> list[Override]:
    """Close one coming day for some doctors, and shorten one for a few others."""
    chance, practice = rng.random(), rng.choice(places)
    if chance >= 0.18 or number == DEMO_DOCTOR:
        return []
    day = world.today + timedelta(days=rng.randrange(2, COMING_DAYS))
    opened = [w for w in practice.windows if w.weekday == day.isoweekday()]
    if chance < 0.12:
        return [Override(practice, day, [])]
    shorter = [Window(w.weekday, w.start, w.end - 60) for w in opened[:1]]
    return [Override(practice, day, shorter)] if shorter else []
