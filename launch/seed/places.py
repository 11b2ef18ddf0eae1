"""The demo cities: who lives there, what they speak, where clinics stand."""

import random
from dataclasses import dataclass
from functools import cache
from zoneinfo import ZoneInfo

from launch.seed import reference
from launch.seed.chance import Weighted
from launch.seed.reference import City


@dataclass(frozen=True, slots=True)
class People:
    """Names that people of one origin have."""

    female: list[str]
    male: list[str]
    family: list[str]


@dataclass(frozen=True, slots=True)
class Country:
    """Money and licences: `fee` and `step` in minor units of the currency."""

    code: str
    currency: str
    fee: int
    step: int
    licence: str
    council: str


@dataclass(frozen=True, slots=True)
class DemoCity:
    """A city with all that the demo world needs to know of it; languages are ISO 639-1 codes."""

    city: City
    country: Country
    zone: ZoneInfo
    weight: int
    peoples: Weighted[People]
    languages: list[str]
    localities: list[str]
    postal_code: str

    def address(self, rng: random.Random, locality: str) -> str:
        """Invent a street address; the city is not part of it."""
        street = rng.choice(("Main Road", "Market Road", "Park Street", "Station Road", "Cross"))
        code = "".join(str(rng.randrange(10)) if c == "#" else c for c in self.postal_code)
        return f"{rng.randrange(1, 240)} {street}, {locality} {code}".rstrip()

    def near_centre(self, rng: random.Random) -> tuple[float, float]:
        """Pick a point (latitude, longitude) within about ten kilometres of the centre."""
        latitude = self.city.latitude + rng.uniform(-0.07, 0.07)
        return round(latitude, 6), round(self.city.longitude + rng.uniform(-0.07, 0.07), 6)


@cache
def countries() -> dict[str, Country]:
    return {
        row["country"]: Country(
            row["country"],
            row["currency"],
            int(row["fee"]),
            int(row["step"]),
            row["licence"],
            row["council"],
        )
        for row in reference.table("countries.csv")
    }


@cache
def peoples() -> dict[str, People]:
    return {name: People(**lists) for name, lists in reference.toml("names.toml").items()}


@cache
def demo_cities() -> tuple[DemoCity, ...]:
    by_geoname = {city.geoname_id: city for city in reference.cities()}
    return tuple(
        demo_city(row, by_geoname[int(row["geoname_id"])])
        for row in reference.table("demo_cities.csv")
    )


def demo_city(row: dict[str, str], city: City) -> DemoCity:
    mixture = [part.split(":") for part in row["peoples"].split()]
    return DemoCity(
        city=city,
        country=countries()[city.country],
        zone=ZoneInfo(city.time_zone),
        weight=int(row["weight"]),
        peoples=Weighted([peoples()[p] for p, _ in mixture], [int(n) for _, n in mixture]),
        languages=row["languages"].split(),
        localities=row["localities"].split("|"),
        postal_code=row["postal_code"],
    )
