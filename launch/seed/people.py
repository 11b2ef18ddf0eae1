"""Invented persons: names of their city's people, an address that nobody has."""

import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from launch.seed.chance import Kind, Weighted
from launch.seed.places import DemoCity
from launch.seed.world import World

DEMO_PASSWORD = "carelane-demo-2026"  # noqa: S105 - documented, for demo worlds only
DEMO_TOTP_SECRET = "CARELANEDEMOWORLDSECONDFACTOR234"  # noqa: S105 - likewise
DEMO_ACCOUNTS = {
    "patient": ("Meera", "Nair", "patient@demo.carelane.example"),
    "doctor": ("Arjun", "Rao", "doctor@demo.carelane.example"),
    "staff": ("Kavya", "Hegde", "clinic@demo.carelane.example"),
    "admin": ("Nikhil", "Sen", "admin@demo.carelane.example"),
}
# Those of them who need a second factor.
DEMO_FACTOR_ROLES = ("staff", "admin")
MAIL_DOMAIN = "people.carelane.example"


@dataclass(frozen=True, slots=True)
class Person:
    """Someone with an account; `city` is a place in the world's list of cities."""

    user_id: UUID
    role: str
    given: str
    family: str
    email: str
    city: int
    create_time: datetime

    @property
    def full_name(self) -> str:
        return f"{self.given} {self.family}"


def name(rng: random.Random, city: DemoCity) -> tuple[str, str]:
    """Pick a given and a family name."""
    people = city.peoples.pick(rng)
    given = people.female if rng.random() < 0.5 else people.male
    return rng.choice(given), rng.choice(people.family)


def mail(role: str, given: str, family: str, number: int) -> str:
    """Make an address that is unique by the role and number, under a name reserved for examples."""
    letters = "".join(c for c in f"{given}.{family}".lower() if c.isalpha() or c == ".")
    return f"{letters}.{role[0]}{number}@{MAIL_DOMAIN}"


def joined(world: World, rng: random.Random) -> datetime:
    """Pick when an account was made; the platform grows, so later is a little likelier."""
    return world.now - timedelta(days=1 + 359 * rng.random() ** 1.3)


def patient(world: World, number: int, cities: Weighted[int]) -> Person:
    rng = world.chance.of(Kind.PATIENT, number)
    city = cities.pick(rng)
    return person(world, rng, Kind.PATIENT, number, city)


def staff(world: World, number: int, city: int) -> Person:
    """Return a person who runs a clinic or hospital without being a doctor."""
    return person(world, world.chance.of(Kind.STAFF, number), Kind.STAFF, number, city)


def person(world: World, rng: random.Random, kind: Kind, number: int, city: int) -> Person:
    """Make someone; number 0 of every kind is a demo account's person, who lives in city 0."""
    given, family = name(rng, world.cities[city])
    role = kind.name.lower()
    since = joined(world, rng)
    made = Person(
        world.chance.id(kind, number),
        role,
        given,
        family,
        mail(role, given, family, number),
        city,
        since,
    )
    return made if number else demo_account(world, made)


def demo_account(world: World, made: Person) -> Person:
    given, family, email = DEMO_ACCOUNTS[made.role]
    since = world.now - timedelta(days=300)
    return replace(made, given=given, family=family, email=email, city=0, create_time=since)


def administrator(world: World) -> Person:
    """Return the demo administrator, the only one of the world."""
    return demo_account(
        world, Person(world.chance.id(Kind.SPECIAL, 0), "admin", "", "", "", 0, world.now)
    )


def by_weight(world: World) -> Weighted[int]:
    """Choose a city the way people are spread over them."""
    return Weighted(range(len(world.cities)), [city.weight for city in world.cities])
