"""Search finds exactly the doctors that it is asked for, in order, page by page."""

import random
from datetime import UTC, datetime
from typing import Any

import pytest

from carelane.directory.v1 import directory_service_pb2 as pb
from server.core.db import Database
from server.directory import search
from tests.counts import count
from tests.directory.town import CITIES, LANGUAGES, SPECIALTIES, Doctor, Town
from tests.refusal import refused
from tests.world import World

ORDERS = {
    "rating": pb.DOCTOR_ORDER_RATING,
    "fee": pb.DOCTOR_ORDER_FEE,
    "experience": pb.DOCTOR_ORDER_EXPERIENCE,
}
YEAR = datetime.now(UTC).year


async def pages(world: World, size: int, **asked: Any) -> list[str]:
    """Answer the ids of all pages of a search."""
    found, token = [], ""
    while True:
        answer = await world.call("SearchDoctors", page_size=size, page_token=token, **asked)
        assert len(answer.doctors) <= size
        found += [doctor.doctor_id for doctor in answer.doctors]
        token = answer.next_page_token
        if not token:
            return found
        assert len(answer.doctors) == size


def lot(seed: int) -> dict[str, Any]:
    """Draw a search."""
    drawn = random.Random(seed)  # noqa: S311 - searches, not secrets
    low = drawn.randrange(0, 900, 50)
    choices = {
        "specialties": drawn.sample(SPECIALTIES, 2),
        "city": drawn.choice(CITIES),
        "text": drawn.choice(("rao", "LOTUS", "asha lake", "dr", "a e", "élan", "%", "_", "\\")),
        "min_fee": low,
        "max_fee": low + drawn.randrange(100, 600, 50),
        "min_rating": drawn.choice((1.0, 3.5, 4.25)),
        "min_experience_years": drawn.choice((5, 20, 40)),
        "languages": drawn.sample(LANGUAGES, 2),
    }
    names = drawn.sample(sorted(choices), drawn.randint(0, 4))
    return {name: choices[name] for name in names}


def oracle(town: Town, order: str, asked: dict[str, Any]) -> list[str]:
    wanted = dict(asked)
    if years := wanted.pop("min_experience_years", None):
        wanted["practising_since"] = YEAR - years
    return town.find(order, **wanted)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("seed", range(count(12, deep=25)))
async def test_a_search_finds_what_a_slow_one_finds_in_the_same_order(
    towns: World, town: Town, order: str, seed: int
) -> None:
    asked = lot(seed)
    expected = oracle(town, order, asked)
    size = (7, 60, 200)[seed % 3] if len(expected) < 100 else 199
    assert await pages(towns, size, order=ORDERS[order], **asked) == expected


@pytest.mark.parametrize("order", ORDERS)
async def test_pages_of_all_doctors_are_complete_and_without_duplicates(
    towns: World, town: Town, order: str
) -> None:
    found = await pages(towns, 199, order=ORDERS[order])
    assert len(found) == len(set(found))
    assert found == town.find(order)


async def test_without_an_order_the_best_rated_come_first(towns: World, town: Town) -> None:
    answer = await towns.call("SearchDoctors", page_size=30)
    assert [d.doctor_id for d in answer.doctors] == town.find("rating")[:30]


async def test_a_page_has_fifty_doctors_and_never_more_than_two_hundred(towns: World) -> None:
    assert len((await towns.call("SearchDoctors")).doctors) == 50
    assert len((await towns.call("SearchDoctors", page_size=5000)).doctors) == 200


def two_works(town: Town) -> Doctor:
    """Find a verified doctor with a cheap practice in one city and a dear one in another."""
    return next(
        doctor
        for doctor in town.doctors
        if doctor.verified
        and len(doctor.works) == 2
        and all(work.active for work in doctor.works)
        and doctor.works[0].place.city != doctor.works[1].place.city
        and doctor.works[0].fee + 100 < doctor.works[1].fee
    )


async def test_fee_and_city_must_hold_for_one_practice(towns: World, town: Town) -> None:
    doctor = two_works(town)
    cheap, dear = doctor.works
    fees = {"max_fee": int(cheap.fee), "text": doctor.name}
    both = await pages(towns, 200, city=cheap.place.city, **fees)
    crossed = await pages(towns, 200, city=dear.place.city, **fees)
    assert str(doctor.doctor_id) in both
    assert str(doctor.doctor_id) not in crossed


async def test_the_order_by_fee_counts_only_practices_that_fit(towns: World, town: Town) -> None:
    doctor = two_works(town)
    dear = doctor.works[1]
    asked = {"city": dear.place.city, "text": doctor.name, "min_fee": int(dear.fee)}
    answer = await towns.call(
        "SearchDoctors", order=pb.DOCTOR_ORDER_FEE, max_fee=int(dear.fee), **asked
    )
    assert str(doctor.doctor_id) in [found.doctor_id for found in answer.doctors]


async def test_a_doctor_with_ended_practices_only_is_not_found(towns: World, town: Town) -> None:
    idle = [d for d in town.doctors if d.verified and not any(w.active for w in d.works)]
    found = set(await pages(towns, 200))
    assert idle
    assert not found & {str(doctor.doctor_id) for doctor in idle}


async def test_a_doctor_is_shown_with_everything_and_ended_practices_left_out(
    towns: World, town: Town
) -> None:
    by_id = {str(doctor.doctor_id): doctor for doctor in town.doctors}
    for shown in (await towns.call("SearchDoctors", page_size=100)).doctors:
        doctor = by_id[shown.doctor_id]
        active = [(w.place.name, w.place.city, w.fee) for w in doctor.works if w.active]
        assert tuple(shown.specialties) == doctor.specialties
        assert shown.full_name == doctor.name
        assert shown.experience_years == YEAR - doctor.since
        assert sorted((p.clinic.name, p.clinic.city, p.fee.units) for p in shown.practices) == (
            sorted(active)
        )
        assert all(len(practice.visit_types) == 1 for practice in shown.practices)
        assert not shown.HasField("next_free_time")


async def test_what_means_something_to_like_is_taken_as_it_is(towns: World, town: Town) -> None:
    for text in ("100%", "_gupta", "sun\\moon", "%%", "__"):
        expected = town.find("rating", text=text)
        assert await pages(towns, 200, text=text) == expected
    assert town.find("rating", text="100%")


@pytest.mark.parametrize(
    "asked",
    [
        {"specialties": ["alchemy"]},
        {"city": "atlantis"},
        {"text": "zzzz"},
        {"symptoms": "qwerty zxcvb"},
        {"languages": ["zz"]},
    ],
)
async def test_what_nobody_has_finds_nobody(towns: World, asked: dict[str, Any]) -> None:
    assert await pages(towns, 200, **asked) == []


async def test_a_text_of_spaces_does_not_narrow(towns: World) -> None:
    blank = await towns.call("SearchDoctors", text="   ", symptoms="  ", page_size=20)
    assert len(blank.doctors) == 20


async def test_symptoms_find_the_doctors_of_the_specialties_that_treat_them(
    towns: World, town: Town
) -> None:
    answer = await towns.call("ListSpecialties", symptoms="toothache", page_size=200)
    treating = [specialty.slug for specialty in answer.specialties]
    assert "dentistry" in treating
    assert "cardiology" not in treating
    assert await pages(towns, 200, symptoms="I have a toothache") == (
        town.find("rating", treating=treating)
    )


async def test_several_symptoms_find_the_doctors_of_each(towns: World, town: Town) -> None:
    teeth = set(await pages(towns, 200, symptoms="toothache"))
    skin = set(await pages(towns, 200, symptoms="acne"))
    both = set(await pages(towns, 200, symptoms="toothache and acne"))
    assert teeth
    assert skin
    assert both == teeth | skin


async def test_symptoms_and_specialties_narrow_each_other(towns: World, town: Town) -> None:
    found = await pages(towns, 200, symptoms="toothache", specialties=["dermatology"])
    expected = town.find("rating", treating=["dentistry"], specialties=["dermatology"])
    assert set(expected) <= set(found) <= set(town.find("rating", specialties=["dermatology"]))


async def test_a_page_token_serves_its_own_search_alone(towns: World) -> None:
    token = (await towns.call("SearchDoctors", page_size=5)).next_page_token
    other_filter = await refused(towns.call("SearchDoctors", page_token=token, city="kochi"))
    other_order = await refused(
        towns.call("SearchDoctors", page_token=token, order=pb.DOCTOR_ORDER_FEE)
    )
    made_up = await refused(towns.call("SearchDoctors", page_token="AAAA"))
    assert {other_filter.reason, other_order.reason, made_up.reason} == {"INVALID_PAGE_TOKEN"}
    assert (await towns.call("SearchDoctors", page_token=token, page_size=9)).doctors


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"min_fee": -1}, "min_fee"),
        ({"min_fee": 9, "max_fee": 8}, ""),
        ({"min_rating": 5.5}, "min_rating"),
        ({"min_rating": float("nan")}, "min_rating"),
        ({"min_experience_years": 81}, "min_experience_years"),
        ({"languages": ["eng"]}, "languages[0]"),
        ({"order": 9}, "order"),
        ({"page_size": -1}, "page_size"),
        ({"text": "x" * 101}, "text"),
        ({"text": "a\0b"}, "text"),
    ],
)
async def test_an_invalid_search_is_refused_and_names_the_field(
    towns: World, asked: dict[str, Any], field: str
) -> None:
    refusal = await refused(towns.call("SearchDoctors", **asked))
    assert refusal.reason == "INVALID_FIELD"
    assert list(refusal.fields) == [field]


async def test_every_shape_of_a_search_can_run(town_db: Database, town: Town) -> None:
    whole = search.Search(
        specialties=SPECIALTIES,
        treating=list(town.specialty_ids.values()),
        city="kochi",
        text="dr",
        min_fee=1,
        max_fee=10_000,
        min_rating=0.0,
        practising_since=YEAR,
        languages=LANGUAGES,
    )
    for order, key in (("rating", 9.0), ("fee", 0), ("experience", 0)):
        found = await search.find(town_db, whole, order=order, after=None, limit=1000)
        later = await search.find(
            town_db, whole, order=order, after=(key, town.doctors[0].doctor_id), limit=1000
        )
        assert [place.doctor_id for place in found] == [place.doctor_id for place in later]
        assert [str(place.doctor_id) for place in found] == town.find(order, city="kochi")


class Counted(Database):
    """Counts the statements that run."""

    count = 0

    async def one(self, statement: Any, **values: Any) -> Any:
        self.count += 1
        return await super().one(statement, **values)

    async def all(self, statement: Any, **values: Any) -> Any:
        self.count += 1
        return await super().all(statement, **values)


async def test_a_page_costs_two_statements_whatever_its_length(town_db: Database) -> None:
    counted = Counted(town_db._pool, town_db.clock)
    world = World(counted, None)
    for size in (1, 200):
        counted.count = 0
        await world.call("SearchDoctors", page_size=size, city="kochi")
        assert counted.count == 2
    await world.channel.close()


async def test_a_statement_is_built_once_for_each_shape() -> None:
    first = search._statement(frozenset({"city"}), "rating", False)
    assert search._statement(frozenset({"city"}), "rating", False) is first
