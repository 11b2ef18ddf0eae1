"""The reference data makes sense by itself."""

from collections import Counter
from zoneinfo import ZoneInfo

import pytest

from launch.seed import reference

SPECIALTIES = reference.specialties()


def best_for(words: str) -> list[str]:
    """List the slugs of the specialties that a keyword leads to, the strongest first."""
    hits = [(s.keywords[words], s.slug) for s in SPECIALTIES if words in s.keywords]
    return [slug for _, slug in sorted(hits, reverse=True)]


def test_there_are_more_than_sixty_specialties() -> None:
    assert len(SPECIALTIES) > 60


@pytest.mark.parametrize("specialty", SPECIALTIES, ids=lambda s: s.slug)
def test_a_specialty_is_described_and_has_words_of_its_own(specialty: reference.Specialty) -> None:
    assert specialty.description.endswith(".")
    assert len(specialty.description.split()) >= 6
    assert len(specialty.keywords) >= 12
    assert all(word == word.lower().strip() for word in specialty.keywords)
    assert sum(weight == 10 for weight in specialty.keywords.values()) >= 5


@pytest.mark.parametrize("specialty", SPECIALTIES, ids=lambda s: s.slug)
def test_a_specialty_is_the_first_answer_to_one_of_its_words(
    specialty: reference.Specialty,
) -> None:
    strongest = [w for w in specialty.keywords if best_for(w)[0] == specialty.slug]
    assert len(strongest) >= 3


def test_slugs_and_names_are_unique() -> None:
    for values in ([s.slug for s in SPECIALTIES], [s.name for s in SPECIALTIES]):
        assert max(Counter(values).values()) == 1


@pytest.mark.parametrize(
    ("words", "slug"),
    [
        ("skin rash", "dermatology"),
        ("acidity", "gastroenterology"),
        ("sugar", "diabetology"),
        ("tooth pain", "dentistry"),
        ("chest pain", "cardiology"),
        ("loose motion", "gastroenterology"),
        ("periods problem", "obstetrics-gynecology"),
        ("piles", "proctology"),
        ("kidney stone", "urology"),
        ("child fever", "pediatrics"),
        ("diarrhea", "gastroenterology"),
        ("pediatrician", "pediatrics"),
    ],
)
def test_everyday_words_lead_to_the_expected_doctor(words: str, slug: str) -> None:
    assert best_for(words)[0] == slug


def test_cities_are_complete_and_distinct() -> None:
    cities = reference.cities()
    assert sum(city.country == "IN" for city in cities) > 450
    assert len({city.slug for city in cities}) == len(cities)
    assert len({city.city_id for city in cities}) == len(cities)
    assert {city.region for city in cities if city.country in {"IN", "US", "GB"}}.isdisjoint({""})
    for zone in {city.time_zone for city in cities}:
        ZoneInfo(zone)


def test_known_cities_keep_their_bare_slugs() -> None:
    by_slug = {city.slug: city for city in reference.cities()}
    for slug in ("mumbai", "delhi", "bengaluru", "hyderabad", "kochi"):
        assert by_slug[slug].country == "IN"
    assert by_slug["london"].time_zone == "Europe/London"


def test_the_forty_demo_cities_span_zones_with_and_without_summer_time() -> None:
    by_geoname = {city.geoname_id: city for city in reference.cities()}
    demo = [by_geoname[int(row["geoname_id"])] for row in reference.table("demo_cities.csv")]
    assert len(demo) == 40
    assert {"Asia/Kolkata", "America/New_York", "America/Phoenix", "Australia/Adelaide"} <= {
        city.time_zone for city in demo
    }


def test_every_demo_city_has_hospitals() -> None:
    per_city = Counter(hospital.city.slug for hospital in reference.hospitals())
    assert len(per_city) == 40
    assert min(per_city.values()) >= 3


def test_practice_figures_exist_for_exactly_the_specialties() -> None:
    figures = {row["slug"] for row in reference.table("specialty_practice.csv")}
    assert figures == {specialty.slug for specialty in SPECIALTIES}
