"""How PostgreSQL answers a search of thousands of doctors, as the application's role."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from server.core.db import Database
from server.core.statement import Statement
from server.directory import doctors, search
from tests.directory.town import Town

MANY = {"doctor_profile", "practice", "doctor_specialty", "visit_type"}


async def scans(db: Database, statement: Statement, **values: Any) -> list[tuple[str, str]]:
    """Answer kind and table or index of each scan of the plan."""
    async with db._pool.acquire() as connection:
        explain = f"EXPLAIN (FORMAT JSON) {statement.text}"
        text = await connection.fetchval(explain, *statement.arguments(values))
    return list(_scans(orjson.loads(text)[0]["Plan"]))


def _scans(plan: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if "Scan" in plan["Node Type"]:
        yield plan["Node Type"], plan.get("Index Name") or plan["Relation Name"]
    for inner in plan.get("Plans", ()):
        yield from _scans(inner)


@pytest.mark.parametrize(
    ("order", "index", "after"),
    [
        ("rating", "doctor_profile_rank", 4.5),
        ("experience", "doctor_profile_experience", 2000),
    ],
)
async def test_a_page_is_read_off_the_index_of_its_order(
    town_db: Database, town: Town, order: Any, index: str, after: float
) -> None:
    last = {"after_key": after, "after_id": town.doctors[0].doctor_id}
    for later, place in ((False, {}), (True, last)):
        statement = search._statement(frozenset(), order, later)
        found = await scans(town_db, statement, limit=51, **place)
        assert found[0][1] == index
        assert not [table for kind, table in found if kind == "Seq Scan" and table in MANY]


async def test_what_is_shown_of_a_page_is_read_by_indexes_alone(
    town_db: Database, town: Town
) -> None:
    ids = [doctor.doctor_id for doctor in town.doctors[:50]]
    found = await scans(town_db, doctors.GET_MANY, ids=ids)
    assert not [table for kind, table in found if kind == "Seq Scan" and table in MANY]


async def test_one_doctor_is_read_by_indexes_alone(town_db: Database, town: Town) -> None:
    found = await scans(town_db, doctors.GET_VERIFIED, id=town.doctors[0].doctor_id)
    assert not [table for kind, table in found if kind == "Seq Scan" and table in MANY]
