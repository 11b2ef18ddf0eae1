"""A database of many doctors drawn by lot, and a slow search over the same doctors to compare with.

The doctors are the same in every run.
"""

import random
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg

CITIES = ("kochi", "mumbai", "london")
SPECIALTIES = ("cardiology", "dermatology", "general-physician", "pediatrics", "dentistry")
LANGUAGES = ("en", "hi", "ml", "ta", "fr")
GIVEN = ("Asha", "Bina", "Chetan", "Dev", "Élan", "Farah", "Gita", "Hari")
FAMILY = ("Nair", "Rao", "Iyer", "O'Neil", "Das_Gupta", "Khan", "Menon 100%")
CLINICS = ("Lake View", "Lotus", "City Care", "St. Mary's", "100% Smile", "Sun\\Moon")
DOCTORS, PLACES = 2400, 60
FIGURES = (0.0, 3.0, 3.5, 4.0, 4.25, 4.5, 5.0)


@dataclass(frozen=True)
class Place:
    """A clinic."""

    clinic_id: UUID
    name: str
    city: str


@dataclass(frozen=True)
class Work:
    """A practice."""

    place: Place
    fee: Decimal
    active: bool


@dataclass(frozen=True)
class Doctor:
    """A doctor with all that a search may ask about."""

    doctor_id: UUID
    name: str
    specialties: tuple[str, ...]
    languages: tuple[str, ...]
    since: int
    rating: float
    rank: float
    verified: bool
    works: tuple[Work, ...]


@dataclass
class Town:
    """All doctors, and the ids of specialties and cities by slug."""

    doctors: list[Doctor] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    specialty_ids: dict[str, UUID] = field(default_factory=dict)

    def find(self, order: str, **asked: Any) -> list[str]:
        """Answer the ids of the doctors that a search must find, in its order."""
        found = []
        for doctor in self.doctors:
            works = [work for work in doctor.works if _works(doctor, work, asked)]
            if works and _is_asked(doctor, asked):
                found.append((_key(doctor, works, order), str(doctor.doctor_id)))
        return [doctor_id for _, doctor_id in sorted(found)]


def _is_asked(doctor: Doctor, asked: dict[str, Any]) -> bool:
    since = asked.get("practising_since", 9999)
    return (
        doctor.verified
        and _meets(doctor.specialties, asked.get("specialties"))
        and _meets(doctor.specialties, asked.get("treating"))
        and _meets(doctor.languages, asked.get("languages"))
        and doctor.rating >= asked.get("min_rating", 0)
        and doctor.since <= since
    )


def _meets(own: tuple[str, ...], asked: Any) -> bool:
    return asked is None or bool(set(own) & set(asked))


def _works(doctor: Doctor, work: Work, asked: dict[str, Any]) -> bool:
    names = f"{doctor.name} {work.place.name}".lower()
    return (
        work.active
        and asked.get("city", work.place.city) == work.place.city
        and asked.get("min_fee", 0) <= work.fee <= asked.get("max_fee", 10**9)
        and all(word in names for word in asked.get("text", "").lower().split())
    )


def _key(doctor: Doctor, works: list[Work], order: str) -> Any:
    keys = {"rating": -doctor.rank, "fee": min(w.fee for w in works), "experience": doctor.since}
    return keys[order]


def draw() -> Town:
    """Draw the doctors."""
    lot = random.Random(20260101)  # noqa: S311 - doctors, not secrets
    town = Town()
    for _ in range(PLACES):
        name = f"{lot.choice(CLINICS)} {lot.randrange(9)}"
        town.places.append(Place(_id(lot), name, lot.choice(CITIES)))
    town.doctors = [_doctor(lot, town.places) for _ in range(DOCTORS)]
    return town


def _id(lot: random.Random) -> UUID:
    return UUID(int=lot.getrandbits(128), version=4)


def _some(lot: random.Random, among: tuple[Any, ...], most: int) -> tuple[Any, ...]:
    return tuple(lot.sample(among, lot.randint(1, most)))


def _doctor(lot: random.Random, places: list[Place]) -> Doctor:
    works = [
        Work(place, Decimal(lot.randrange(100, 1500, 50)), lot.random() < 0.9)
        for place in lot.sample(places, lot.choice((0, 1, 1, 1, 2, 3)))
    ]
    return Doctor(
        _id(lot),
        f"Dr. {lot.choice(GIVEN)} {lot.choice(FAMILY)}",
        _some(lot, SPECIALTIES, 2),
        _some(lot, LANGUAGES, 3),
        lot.randrange(1970, 2026),
        lot.choice(FIGURES),
        lot.choice(FIGURES) + lot.choice((0.0, 0.125, 1 / 3)),
        lot.random() < 0.9,
        tuple(works),
    )


async def build(owner: asyncpg.Connection, town: Town) -> None:
    """Write the town into a database that has the reference data."""
    cities = {row["slug"]: row["city_id"] for row in await owner.fetch("SELECT * FROM city")}
    rows = await owner.fetch("SELECT slug, specialty_id FROM specialty")
    town.specialty_ids = {row["slug"]: row["specialty_id"] for row in rows}
    await _write(
        owner,
        "clinic (clinic_id, kind, name, address, city_id, time_zone, currency_code)",
        [
            (p.clinic_id, "clinic", p.name, "1 Lake Road", cities[p.city], "UTC", "INR")
            for p in town.places
        ],
    )
    await _write(
        owner,
        "user_account (user_id, email, full_name, role)",
        [(d.doctor_id, f"{d.doctor_id}@mail.example", d.name, "doctor") for d in town.doctors],
    )
    await _write(
        owner,
        "doctor_profile (doctor_id, full_name, qualifications, practising_since, languages,"
        " verification_status, rating, rating_count, rank)",
        [
            (
                *(d.doctor_id, d.name, "MBBS", d.since, list(d.languages)),
                *("verified" if d.verified else "pending", d.rating, 10, d.rank),
            )
            for d in town.doctors
        ],
    )
    await _write_works(owner, town)
    await owner.execute("ANALYZE")


async def _write_works(owner: asyncpg.Connection, town: Town) -> None:
    await _write(
        owner,
        "doctor_specialty (doctor_id, specialty_id, position)",
        [
            (d.doctor_id, town.specialty_ids[slug], place)
            for d in town.doctors
            for place, slug in enumerate(d.specialties)
        ],
    )
    works = [(d, w, UUID(int=d.doctor_id.int ^ n)) for d in town.doctors for n, w in _nth(d.works)]
    await _write(
        owner,
        "practice (practice_id, doctor_id, clinic_id, fee, status)",
        [
            (i, d.doctor_id, w.place.clinic_id, w.fee, "active" if w.active else "ended")
            for d, w, i in works
        ],
    )
    await _write(
        owner,
        "visit_type (practice_id, name, length_minutes, interval_minutes, price, is_default)",
        [(i, "Consultation", 20, 20, w.fee, True) for _, w, i in works],
    )


def _nth(works: tuple[Work, ...]) -> list[tuple[int, Work]]:
    return list(enumerate(works, start=1))


async def _write(owner: asyncpg.Connection, target: str, rows: list[tuple[Any, ...]]) -> None:
    places = ", ".join(f"${n}" for n in range(1, len(rows[0]) + 1))
    await owner.executemany(f"INSERT INTO {target} VALUES ({places})", rows)
