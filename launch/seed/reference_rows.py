"""The reference data as rows, brought into the database by upsert."""

from collections.abc import Iterator
from typing import Any

import asyncpg

from launch.seed import reference


async def upsert_reference(connection: asyncpg.Connection) -> None:
    """Bring specialties, symptoms, cities and hospitals to what this release knows."""
    async with connection.transaction():
        for table, key, columns, records in reference_rows():
            await connection.executemany(upsert(table, key, columns.split()), records)


def upsert(table: str, key: str, columns: list[str]) -> str:
    """Write the statement that inserts a row, or updates it when something in it differs."""
    values = ", ".join(f"${n}" for n in range(1, len(columns) + 1))
    names = ", ".join(columns)
    own, new = (", ".join(f"{part}.{name}" for name in columns) for part in (table, "excluded"))
    return (
        f"INSERT INTO {table} ({names}) VALUES ({values}) "  # noqa: S608 - own names
        f"ON CONFLICT ({key}) DO UPDATE SET ({names}) = ROW ({new}) "
        f"WHERE ROW ({own}) IS DISTINCT FROM ROW ({new})"
    )


def reference_rows() -> Iterator[tuple[str, str, str, list[tuple[Any, ...]]]]:
    """Yield (table, conflict key, columns, rows)."""
    specialties = reference.specialties()
    rows: list[tuple[Any, ...]] = [
        (s.specialty_id, s.slug, s.name, s.title, s.description) for s in specialties
    ]
    yield "specialty", "specialty_id", "specialty_id slug name practitioner description", rows
    symptoms = [(w, s.specialty_id, n) for s in specialties for w, n in s.keywords.items()]
    yield "symptom", "phrase, specialty_id", "phrase specialty_id weight", symptoms
    columns = "city_id slug name region country_code latitude longitude time_zone population"
    yield "city", "city_id", columns, city_rows()
    columns = "clinic_id kind name address city_id latitude longitude time_zone currency_code"
    yield "clinic", "clinic_id", columns, hospital_rows()


def city_rows() -> list[tuple[Any, ...]]:
    return [
        (
            *(c.city_id, c.slug, c.name, c.region, c.country, c.latitude, c.longitude),
            *(c.time_zone, c.population),
        )
        for c in reference.cities()
    ]


def hospital_rows() -> list[tuple[Any, ...]]:
    return [
        (
            *(h.hospital_id, "hospital", h.name, h.address, h.city.city_id),
            *(h.city.latitude, h.city.longitude, h.city.time_zone, h.city.currency),
        )
        for h in reference.hospitals()
    ]
