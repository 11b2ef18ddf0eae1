"""Invented doctors: who they are and what they have learnt."""

import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from launch.seed import reference
from launch.seed.chance import Kind, Weighted
from launch.seed.people import DEMO_ACCOUNTS, Person, person
from launch.seed.places import DemoCity
from launch.seed.practices import (
    DEMO_DOCTOR,
    Figures,
    Override,
    Practice,
    demo_figures,
    figures,
    overrides,
    practices,
)
from launch.seed.world import World

STATUSES = Weighted(("verified", "pending", "rejected"), (955, 35, 10))


@dataclass(frozen=True, slots=True)
class Licence:
    """The evidence, and what came of it; `decide_time` is None while it is pending."""

    number: str
    council: str
    year: int
    status: str
    ask_time: datetime
    decide_time: datetime | None


@dataclass(frozen=True, slots=True)
class Doctor:
    """All of one doctor; `rating` is 0 and `rating_count` 0 for the unrated."""

    number: int
    person: Person
    specialties: list[reference.Specialty]
    qualifications: str
    since: int
    languages: list[str]
    bio: str
    rating: float
    rating_count: int
    licence: Licence
    practices: list[Practice]
    overrides: list[Override]

    @property
    def full_name(self) -> str:
        return f"Dr. {self.person.full_name}"

    @property
    def verified(self) -> bool:
        return self.licence.status == "verified"


def doctor(world: World, number: int, cities: Weighted[int]) -> Doctor:
    """Make one doctor; number 0 is the demo account's, verified and at the demo clinic."""
    rng = world.chance.of(Kind.DOCTOR, number)
    demo = number == DEMO_DOCTOR
    field = demo_figures() if demo else figures().pick(rng)
    place = 0 if demo else cities.pick(rng)
    city = world.cities[place]
    since = world.today.year - (15 if demo else 2 + int(38 * rng.random() ** 1.5))
    rated = rng.random() < 0.9
    places = practices(world, rng, number, place, field)
    rating_count = 180 if demo else int(rng.expovariate(1 / 60)) * rated
    status, someone = standing(world, rng, person(world, rng, Kind.DOCTOR, number, place))
    return Doctor(
        number=number,
        person=someone,
        specialties=specialties(rng, field),
        qualifications=qualifications(field),
        since=since,
        languages=languages(rng, city),
        bio=bio(rng, field, city, since),
        rating=round(min(5.0, rng.triangular(3.2, 5.0, 4.5)), 1) if rating_count else 0.0,
        rating_count=rating_count,
        licence=licence(rng, number, city, since, someone.create_time, status),
        practices=places,
        overrides=overrides(world, rng, number, places),
    )


def specialties(rng: random.Random, field: Figures) -> list[reference.Specialty]:
    """List the main specialty, and for some doctors general medicine beside it."""
    second = demo_figures().specialty
    broad = field.degree.startswith(("MD", "DM")) and field.specialty is not second
    return [field.specialty, second] if broad and rng.random() < 0.15 else [field.specialty]


def qualifications(field: Figures) -> str:
    if field.degree.startswith(("MD ", "MS ", "Fellowship", "Diploma")):
        return f"MBBS, {field.degree}"
    if field.degree.startswith(("DM", "MCh")):
        return f"MBBS, MD, {field.degree}"
    return f"BDS, {field.degree}" if field.degree.startswith("MDS") else field.degree


def languages(rng: random.Random, city: DemoCity) -> list[str]:
    """Speak the city's first two languages, and some of its others."""
    return city.languages[:2] + [code for code in city.languages[2:] if rng.random() < 0.5]


def bio(rng: random.Random, field: Figures, city: DemoCity, since: int) -> str:
    """Write two sentences in the doctor's own words."""
    title = field.specialty.title
    name = f"{'an' if title[0] in 'AEIOU' else 'a'} {title}"
    opening = rng.choice(OPENINGS).format(title=name, city=city.city.name, since=since)
    return f"{opening} {rng.choice(HABITS)}"


OPENINGS = (
    "I have been {title} in {city} since {since}.",
    "My work as {title} began in {since}, and {city} has been my home for most of it.",
    "People of {city} have trusted me as {title} since {since}.",
    "Since {since} I see patients of every age and background as {title}.",
)
HABITS = (
    "I explain every step and leave time for questions.",
    "I prescribe as little as possible and as much as needed.",
    "Bring your earlier reports; I read them with you.",
    "I like to find the cause before I treat the symptom.",
    "You leave with a plan in plain words, in your own language.",
    "Follow-ups matter to me as much as the first visit.",
)


def licence(
    rng: random.Random, number: int, city: DemoCity, since: int, joined: datetime, status: str
) -> Licence:
    """Invent the evidence; the number is unique because the doctor's is in it."""
    council = f"{city.city.region or city.city.name} {city.country.council}"
    asked = joined + timedelta(hours=rng.uniform(0.1, 3))
    decided = None if status == "pending" else asked + timedelta(hours=rng.uniform(2, 60))
    code = f"{city.country.code}-{since % 100:02d}-{number + 100_000}"
    return Licence(code, council, since, status, asked, decided)


def standing(world: World, rng: random.Random, one: Person) -> tuple[str, Person]:
    """Decide how far the verification is; those that wait joined lately, the others before."""
    status = STATUSES.pick(rng)
    if one.email == DEMO_ACCOUNTS["doctor"][2]:
        return "verified", one
    days = rng.uniform(0.5, 20) if status == "pending" else 25 + 335 * rng.random() ** 1.3
    return status, replace(one, create_time=world.now - timedelta(days=days))
