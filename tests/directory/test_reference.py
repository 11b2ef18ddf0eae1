"""Lists that everyone may read: specialties, cities, hospitals."""

from typing import Any

import pytest

from launch.seed import reference
from tests.refusal import refused
from tests.world import World


async def names(world: World, rpc_name: str, size: int, **asked: Any) -> list[str]:
    """Answer the names on all pages of a list."""
    found, token = [], ""
    while True:
        answer = await world.call(rpc_name, page_size=size, page_token=token, **asked)
        things = next(value for field, value in answer.ListFields() if field.is_repeated)
        assert len(things) <= size
        found += [thing.name for thing in things]
        token = answer.next_page_token
        if not token:
            return found


async def test_all_specialties_are_listed_by_name_with_their_words(towns: World) -> None:
    found = await names(towns, "ListSpecialties", 20)
    assert found == sorted(specialty.name for specialty in reference.specialties())
    first = (await towns.call("ListSpecialties", page_size=1)).specialties[0]
    known = next(s for s in reference.specialties() if s.slug == first.slug)
    assert (first.practitioner, first.description) == (known.title, known.description)
    assert set(first.symptoms) == set(known.keywords)
    weights = [known.keywords[phrase] for phrase in first.symptoms]
    assert weights == sorted(weights, reverse=True)


async def test_symptoms_list_the_likeliest_specialty_first(towns: World) -> None:
    found = await names(towns, "ListSpecialties", 200, symptoms="chest pain")
    assert found[0] == "Cardiology"
    assert 1 < len(found) < 20
    assert await names(towns, "ListSpecialties", 2, symptoms="chest pain") == found


async def test_unknown_symptoms_list_nothing(towns: World) -> None:
    answer = await towns.call("ListSpecialties", symptoms="qwerty zxcvb")
    assert not answer.specialties
    assert not answer.next_page_token


async def test_all_cities_are_listed_by_name(towns: World) -> None:
    found = await names(towns, "ListCities", 200)
    assert found == sorted(city.name for city in reference.cities())


async def test_cities_of_a_country_whose_names_begin_so(towns: World) -> None:
    indian = [city for city in reference.cities() if city.country == "IN"]
    by_country = await names(towns, "ListCities", 200, country_code="IN")
    by_prefix = await names(towns, "ListCities", 3, country_code="IN", prefix="koL")
    assert by_country == sorted(city.name for city in indian)
    assert by_prefix == sorted(c.name for c in indian if c.name.lower().startswith("kol"))
    assert "Kolkata" in by_prefix


@pytest.mark.parametrize("prefix", ["%", "_", "\\", "zzzz"])
async def test_no_city_begins_with_what_means_something_to_like(towns: World, prefix: str) -> None:
    assert not (await towns.call("ListCities", prefix=prefix)).cities


async def test_a_city_is_shown_with_its_place_and_zone(towns: World) -> None:
    answer = await towns.call("ListCities", prefix="Kochi", country_code="IN")
    known = next(city for city in reference.cities() if city.slug == "kochi")
    shown = next(city for city in answer.cities if city.slug == "kochi")
    assert (shown.city_id, shown.region) == (str(known.city_id), known.region)
    assert (shown.location.latitude, shown.time_zone) == (known.latitude, "Asia/Kolkata")


async def test_hospitals_are_listed_by_name_and_clinics_are_not(towns: World) -> None:
    found = await names(towns, "ListHospitals", 50)
    assert found == sorted(hospital.name for hospital in reference.hospitals())


async def test_hospitals_of_a_city(towns: World) -> None:
    kochi = sorted(h.name for h in reference.hospitals() if h.city.slug == "kochi")
    assert kochi
    assert await names(towns, "ListHospitals", 2, city="kochi") == kochi
    assert not (await towns.call("ListHospitals", city="atlantis")).hospitals


@pytest.mark.parametrize(
    ("rpc_name", "asked", "field"),
    [
        ("ListCities", {"country_code": "india"}, "country_code"),
        ("ListCities", {"page_size": -1}, "page_size"),
        ("ListSpecialties", {"symptoms": "x" * 201}, "symptoms"),
        ("ListHospitals", {"city": "x" * 81}, "city"),
    ],
)
async def test_an_invalid_field_is_named(
    towns: World, rpc_name: str, asked: dict[str, Any], field: str
) -> None:
    refusal = await refused(towns.call(rpc_name, **asked))
    assert (refusal.reason, list(refusal.fields)) == ("INVALID_FIELD", [field])


@pytest.mark.parametrize("rpc_name", ["ListSpecialties", "ListCities", "ListHospitals"])
async def test_a_token_of_another_list_is_refused(towns: World, rpc_name: str) -> None:
    token = (await towns.call("SearchDoctors", page_size=1)).next_page_token
    refusal = await refused(towns.call(rpc_name, page_token=token))
    assert refusal.reason == "INVALID_PAGE_TOKEN"
