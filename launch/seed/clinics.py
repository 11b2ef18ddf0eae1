"""Invented clinics, and the reference hospitals, where the demo world's doctors work."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from uuid import UUID

from launch.seed import reference
from launch.seed.chance import Kind
from launch.seed.world import World

DEMO_CLINIC = "Bodhi Tree Family Clinic"


@dataclass(frozen=True, slots=True)
class Clinic:
    """A tenant: `city` is a place in the world's list of cities."""

    clinic_id: UUID
    name: str
    city: int
    address: str
    latitude: float
    longitude: float
    create_time: datetime


def clinic_id(world: World, number: int) -> UUID:
    return world.chance.id(Kind.CLINIC, number)


def clinic(world: World, number: int) -> Clinic:
    """Make one clinic; number 0 is the one that the demo accounts work at."""
    rng = world.chance.of(Kind.CLINIC, number)
    place = world.city_of_clinic(number)
    city = world.cities[place]
    locality = rng.choice(city.localities)
    heads, kinds = clinic_names(city.country.code)
    latitude, longitude = city.near_centre(rng)
    return Clinic(
        clinic_id(world, number),
        f"{rng.choice(heads)} {rng.choice(kinds)}, {locality}" if number else DEMO_CLINIC,
        place,
        city.address(rng, locality),
        latitude,
        longitude,
        world.now - timedelta(days=rng.randrange(370, 395)),
    )


@cache
def clinic_names(country: str) -> tuple[list[str], list[str]]:
    names = reference.toml("hospitals.toml")
    return names["clinic"].get(country, names["clinic"]["other"]), names["clinic_kinds"]


@cache
def hospitals_in(geoname_id: int) -> tuple[UUID, ...]:
    """List the ids of a city's hospitals."""
    return tuple(h.hospital_id for h in reference.hospitals() if h.city.geoname_id == geoname_id)


def staffed_hospitals(world: World) -> list[tuple[UUID, int]]:
    """List the hospitals of the world's cities, each with the city's place."""
    return [
        (hospital, place)
        for place, city in enumerate(world.cities)
        for hospital in hospitals_in(city.city.geoname_id)
    ]


def workplaces(world: World, city: int, count: int, start: int) -> list[UUID]:
    """Choose different places of a city to work at, from any starting number; few cities have few.

    One in six of the places counted through is a hospital, as long as there are any.
    """
    clinics = world.clinics_in(city)
    hospitals = hospitals_in(world.cities[city].city.geoname_id)
    every = max(1, len(clinics) // 6)
    places = len(clinics) + len(hospitals[:every])
    chosen = []
    for number in range(start, start + min(count, places)):
        place = number % places
        is_clinic = place < len(clinics)
        chosen.append(
            clinic_id(world, clinics[place]) if is_clinic else hospitals[place - len(clinics)]
        )
    return chosen
