"""The demo world's measure: how many of what, where, and which part holds which numbers.

A world is cut into chunks of doctors, each with its own patients, so that a chunk can be made and
loaded by itself: no patient of one chunk visits a doctor of another.
"""

from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import accumulate

from launch.seed.chance import Chance, share
from launch.seed.places import DemoCity, demo_cities

CHUNK = 2_500
PAST_DAYS = 60
COMING_DAYS = 21
MOST_VISITS = 40
MANY = 100_000
BUSYNESS = (3, 1, 2, 1, 4, 1, 2, 2)
"""How many visits one doctor has relative to the next, repeating."""


class ImpossibleSize(ValueError):
    """The numbers asked for do not fit together; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Size:
    """How many of everything; clinics, patients and appointments may follow from the doctors."""

    doctors: int = 2_000
    clinics: int = 300
    patients: int = 5_000
    appointments: int = 20_000

    @classmethod
    def of(
        cls,
        doctors: int = 2_000,
        clinics: int | None = None,
        patients: int | None = None,
        appointments: int | None = None,
    ) -> "Size":
        """Take what is given, and the rest in the proportions of the default world.

        Patients and appointments do not grow beyond MANY by themselves: a large world is for
        search, and it is the checking of taken time that takes long.
        """
        size = cls(
            doctors,
            max(1, doctors * 3 // 20) if clinics is None else clinics,
            max(1, min(doctors * 5 // 2, MANY)) if patients is None else patients,
            min(doctors * 10, MANY) if appointments is None else appointments,
        )
        size.check()
        return size

    def check(self) -> None:
        if min(self.doctors, self.clinics, self.patients) < 1 or self.appointments < 0:
            raise ImpossibleSize("A demo world needs at least one doctor, clinic and patient.")
        for many, name in ((self.doctors, "doctors"), (self.patients, "patients")):
            if self.appointments > many * MOST_VISITS:
                raise ImpossibleSize(
                    f"{self.appointments} appointments are too many for {many} {name}: "
                    f"at most {MOST_VISITS} each."
                )


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of the world: half-open ranges of doctor, patient and appointment numbers."""

    number: int
    doctors: range
    patients: range
    appointments: range


@dataclass(frozen=True, slots=True)
class World:
    """One demo world: `now` is the instant it is made for, everything spreads around it."""

    seed: int
    now: datetime
    size: Size
    chance: Chance = field(init=False)
    cities: tuple[DemoCity, ...] = field(init=False)
    clinic_ends: list[int] = field(init=False)

    def __post_init__(self) -> None:
        epoch = datetime.combine(self.now.date(), time(), UTC) - timedelta(days=400)
        cities = demo_cities()[: self.size.clinics]
        ends = list(accumulate(split_clinics(self.size.clinics, cities)))
        object.__setattr__(self, "chance", Chance(self.seed, epoch))
        object.__setattr__(self, "cities", cities)
        object.__setattr__(self, "clinic_ends", ends)

    @property
    def today(self) -> date:
        return self.now.date()

    def clinics_in(self, city: int) -> range:
        """Numbers of the clinics of a city, which is named by its place in `cities`."""
        return range(self.clinic_ends[city - 1] if city else 0, self.clinic_ends[city])

    def city_of_clinic(self, clinic: int) -> int:
        return bisect_right(self.clinic_ends, clinic)

    def chunks(self) -> list[Chunk]:
        size, count = self.size, -(-self.size.doctors // CHUNK)
        if size.patients < count:
            raise ImpossibleSize(f"{size.doctors} doctors need at least {count} patients.")
        return [
            Chunk(
                number,
                part(size.doctors, number, count),
                part(size.patients, number, count),
                part(size.appointments, number, count),
            )
            for number in range(count)
        ]


def part(total: int, number: int, count: int) -> range:
    """Return the `number`th of `count` equal parts of range(total)."""
    return range(total * number // count, total * (number + 1) // count)


def split_clinics(clinics: int, cities: tuple[DemoCity, ...]) -> list[int]:
    """Give every city a clinic, and the rest by weight."""
    rest = share(clinics - len(cities), [city.weight for city in cities])
    return [1 + more for more in rest]


def quotas(chunk: Chunk) -> list[int]:
    """Say how many visits each doctor of the chunk has, busy and quiet ones mixed."""
    weights = [BUSYNESS[number % len(BUSYNESS)] for number in chunk.doctors]
    return share(len(chunk.appointments), weights)
