"""The invented world holds together before any database sees it."""

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from launch.seed.doctors import Doctor, doctor
from launch.seed.hours import starts
from launch.seed.people import by_weight
from launch.seed.places import demo_cities
from launch.seed.visits import Planner, Visit
from launch.seed.world import ImpossibleSize, Size, World

NOW = datetime(2026, 3, 29, 6, 30, tzinfo=UTC)  # Europe's clocks go forward on this day


def made(seed: int = 1, size: Size | None = None) -> tuple[World, list[Doctor], list[Visit]]:
    world = World(seed, NOW, size or Size.of(300))
    chunk = world.chunks()[0]
    doctors = [doctor(world, number, by_weight(world)) for number in chunk.doctors]
    return world, doctors, list(Planner(world, chunk).visits(doctors))


@pytest.fixture(scope="module")
def small() -> tuple[World, list[Doctor], list[Visit]]:
    return made()


def test_the_same_seed_and_instant_make_the_same_world() -> None:
    assert made()[1:] == made()[1:]


def test_another_seed_makes_another_world() -> None:
    first, second = made(1)[1], made(2)[1]
    assert first[5].person.full_name != second[5].person.full_name
    assert first[5].person.user_id != second[5].person.user_id


def test_there_are_exactly_as_many_visits_as_asked_for(small) -> None:
    world, _, visits = small
    assert len(visits) == world.size.appointments == 3_000
    assert len({visit.number for visit in visits}) == 3_000


@pytest.mark.parametrize("of", ["doctor", "patient"])
def test_nobody_is_in_two_visits_at_once(small, of: str) -> None:
    spans = defaultdict(list)
    for visit in small[2]:
        one = visit.doctor.person if of == "doctor" else visit.patient
        spans[one.user_id].append((visit.start, visit.end))
    for taken in spans.values():
        taken.sort()
        assert all(a[1] <= b[0] for a, b in pairwise(taken))


def test_every_visit_starts_on_the_grid_inside_opening_hours(small) -> None:
    for visit in small[2]:
        zone = demo_cities()[visit.doctor.person.city].zone
        local = visit.start.astimezone(zone)
        minute = local.hour * 60 + local.minute
        windows = [w for w in visit.practice.windows if w.weekday == local.isoweekday()]
        assert any(minute in starts(w, visit.practice.minutes) for w in windows)


def test_no_visit_lies_on_a_day_that_differs_from_the_week(small) -> None:
    _, doctors, visits = small
    changed = {(o.practice.practice_id, o.day) for one in doctors for o in one.overrides}
    assert changed
    for visit in visits:
        zone = demo_cities()[visit.doctor.person.city].zone
        assert (visit.practice.practice_id, visit.start.astimezone(zone).date()) not in changed


def test_a_doctors_clinics_never_open_at_the_same_time(small) -> None:
    for one in small[1]:
        minutes = Counter(
            (w.weekday, minute)
            for practice in one.practices
            for w in practice.windows
            for minute in range(w.start, w.end, 15)
        )
        assert max(minutes.values()) == 1


def test_only_verified_doctors_have_visits_and_only_after_their_verification(small) -> None:
    _, doctors, visits = small
    assert {"verified", "pending"} <= {one.licence.status for one in doctors}
    for visit in visits:
        decided = visit.doctor.licence.decide_time
        assert visit.doctor.verified
        assert decided is not None
        assert decided <= visit.create_time


def test_times_of_a_visit_come_in_their_order(small) -> None:
    for visit in small[2]:
        assert visit.patient.create_time <= visit.create_time < visit.start
        assert visit.create_time <= visit.decide_time
        assert visit.create_time <= NOW
        assert (visit.status == "booked") <= (visit.end > NOW)


def test_the_demo_doctor_has_visits_today_and_this_week(small) -> None:
    _, _, visits = small
    zone = ZoneInfo("Asia/Kolkata")
    days = Counter(
        v.start.astimezone(zone).date() - NOW.date() for v in visits if v.doctor.number == 0
    )
    assert days[timedelta(0)] >= 5
    assert sum(days[timedelta(n)] for n in range(1, 7)) >= 8


def test_the_demo_patient_has_past_and_coming_visits(small) -> None:
    mine = [v for v in small[2] if v.patient.email == "patient@demo.carelane.example"]
    assert sum(v.start > NOW for v in mine) >= 3
    assert sum(v.end < NOW for v in mine) >= 5


def test_addresses_of_people_are_unique(small) -> None:
    world, doctors, _ = small
    patients = Planner(world, world.chunks()[0]).patients
    mails = [one.email for one in patients] + [one.person.email for one in doctors]
    assert len(set(mails)) == len(mails)


def test_chunks_cover_every_number_once() -> None:
    chunks = World(1, NOW, Size.of(12_345)).chunks()
    assert len(chunks) > 1
    for part in ("doctors", "patients", "appointments"):
        ranges = [getattr(chunk, part) for chunk in chunks]
        assert [n for r in ranges for n in r] == list(range(ranges[-1].stop))


@pytest.mark.parametrize("size", [(0,), (10, 1, 1, 100), (10, 1, 100, 1_000)])
def test_an_impossible_size_is_refused(size: tuple[int, ...]) -> None:
    with pytest.raises(ImpossibleSize):
        Size.of(*size)
