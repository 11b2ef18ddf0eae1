"""Doctors, their practices and hours as rows of the directory's and availability's tables."""

from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from typing import Any

from launch.seed.chance import Kind
from launch.seed.doctors import Doctor
from launch.seed.people import administrator
from launch.seed.practices import Override
from launch.seed.rows import MEMBER, Rows
from launch.seed.world import World

PRIOR_MEAN, PRIOR_COUNT = 4.0, 20
GROUPS_EVERY, GROUP_SEATS = 50, 10
CANCEL_NOTICE = 120  # minutes


def doctor_tables(world: World, doctors: list[Doctor]) -> Iterator[Rows]:
    columns = (
        "doctor_id full_name qualifications practising_since languages bio verification_status "
        "rating rating_count rank create_time update_time"
    )
    yield Rows("doctor_profile", columns, map(profile, doctors))
    yield Rows("doctor_specialty", "doctor_id specialty_id position", fields(doctors))
    columns = (
        "verification_id doctor_id licence_number licence_council licence_year status reason "
        "create_time decide_time decided_by"
    )
    yield Rows("verification", columns, verifications(world, doctors))
    columns = "practice_id doctor_id clinic_id fee create_time"
    yield Rows("practice", columns, practices(doctors))
    columns = "visit_type_id practice_id name length_minutes interval_minutes price is_default"
    yield Rows("visit_type", f"{columns} capacity", visit_types(world, doctors))
    columns = "practice_id clinic_id notice_minutes update_time"
    yield Rows("cancel_policy", columns, cancel_policies(doctors))
    yield Rows("clinic_member", MEMBER, memberships(doctors))


def profile(one: Doctor) -> tuple[Any, ...]:
    evidence, since = one.licence, one.person.create_time
    return (
        one.person.user_id,
        one.full_name,
        one.qualifications,
        one.since,
        one.languages,
        one.bio,
        evidence.status,
        one.rating,
        one.rating_count,
        rank(one.rating, one.rating_count),
        since,
        evidence.decide_time or evidence.ask_time,
    )


def rank(rating: float, count: int) -> float:
    """Weigh the mean rating by how many rated, starting from the platform's usual one."""
    return (rating * count + PRIOR_MEAN * PRIOR_COUNT) / (count + PRIOR_COUNT)


def fields(doctors: list[Doctor]) -> Iterator[tuple[Any, ...]]:
    for one in doctors:
        for position, specialty in enumerate(one.specialties):
            yield (one.person.user_id, specialty.specialty_id, position)


def verifications(world: World, doctors: list[Doctor]) -> Iterator[tuple[Any, ...]]:
    admin = administrator(world).user_id
    for one in doctors:
        evidence = one.licence
        yield (
            world.chance.id(Kind.VERIFICATION, one.number),
            one.person.user_id,
            evidence.number,
            evidence.council,
            evidence.year,
            evidence.status,
            "The register does not know this number." if evidence.status == "rejected" else "",
            evidence.ask_time,
            evidence.decide_time,
            admin if evidence.decide_time else None,
        )


@cache
def amount(minor: int) -> Decimal:
    """Turn minor units into units; every demo currency has a hundred of them."""
    return Decimal(minor).scaleb(-2)


def practices(doctors: list[Doctor]) -> Iterator[tuple[Any, ...]]:
    for one in doctors:
        since = one.person.create_time
        for p in one.practices:
            yield (p.practice_id, one.person.user_id, p.clinic_id, amount(p.fee), since)


def visit_types(world: World, doctors: list[Doctor]) -> Iterator[tuple[Any, ...]]:
    for one in doctors:
        for p in one.practices:
            for kind in p.visit_types:
                default = kind is p.visit_types[0]
                minutes = (kind.minutes, kind.minutes)
                key = (kind.visit_type_id, p.practice_id, kind.name)
                yield (*key, *minutes, amount(kind.price), default, 1)
            if one.number % GROUPS_EVERY == 0:
                group = world.chance.id(Kind.GROUP, p.number)
                price = amount(p.fee // 5)
                yield (group, p.practice_id, "Group session", 60, 60, price, False, GROUP_SEATS)


def cancel_policies(doctors: list[Doctor]) -> Iterator[tuple[Any, ...]]:
    """Let every other doctor, the demo doctor among them, ask for notice of who cancels."""
    for one in doctors[::2]:
        for p in one.practices:
            yield (p.practice_id, p.clinic_id, CANCEL_NOTICE, one.person.create_time)


def memberships(doctors: list[Doctor]) -> Iterator[tuple[Any, ...]]:
    for one in doctors:
        for p in one.practices:
            yield (p.clinic_id, one.person.user_id, "doctor", one.person.create_time)


def hours_tables(world: World, doctors: list[Doctor]) -> Iterator[Rows]:
    columns = "practice_id clinic_id update_time"
    yield Rows("hours", columns, hours(doctors))
    columns = "rule_id clinic_id practice_id weekday start_minute end_minute"
    yield Rows("weekly_rule", columns, rules(world, doctors))
    changed = (change for one in doctors for change in one.overrides)
    columns = "practice_id day clinic_id starts ends"
    yield Rows("date_override", columns, map(override, changed))
    yield Rows("calendar", "doctor_id", ((one.person.user_id,) for one in doctors))


def hours(doctors: list[Doctor]) -> Iterator[tuple[Any, ...]]:
    for one in doctors:
        for p in one.practices:
            yield (p.practice_id, p.clinic_id, one.person.create_time)


def rules(world: World, doctors: list[Doctor]) -> Iterator[tuple[Any, ...]]:
    for one in doctors:
        for p in one.practices:
            for number, w in enumerate(p.windows):
                rule = world.chance.id(Kind.RULE, p.number * 16 + number)
                yield (rule, p.clinic_id, p.practice_id, w.weekday, w.start, w.end)


def override(change: Override) -> tuple[Any, ...]:
    starts, ends = [w.start for w in change.windows], [w.end for w in change.windows]
    place = change.practice
    return (place.practice_id, change.day, place.clinic_id, starts, ends)
