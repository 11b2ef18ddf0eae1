"""The clinics' feeds: the present state of all hours and visits, with contiguous revisions."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from launch.seed.chance import Kind
from launch.seed.doctors import Doctor
from launch.seed.practices import Practice
from launch.seed.rows import Revisions, Rows
from launch.seed.visits import Visit
from launch.seed.world import World


class Entry(NamedTuple):
    """One thing of a clinic's schedule, since when it is as `state` says."""

    time: datetime
    clinic_id: UUID
    kind: str
    thing_id: UUID
    state: dict[str, Any]


def feed(world: World, doctors: list[Doctor], visits: list[Visit], revisions: Revisions) -> Rows:
    entries = [*hours_entries(world, doctors), *visit_entries(world, visits)]
    entries.sort(key=lambda entry: (entry.time, entry.thing_id))
    columns = "clinic_id revision kind thing_id state create_time"
    return Rows("feed_entry", columns, numbered(entries, revisions))


def numbered(entries: Iterable[Entry], revisions: Revisions) -> Iterator[tuple[Any, ...]]:
    """Give every entry its clinic's next revision."""
    for one in entries:
        revision = revisions.next(one.clinic_id)
        yield (one.clinic_id, revision, one.kind, one.thing_id, one.state, one.time)


def hours_entries(world: World, doctors: list[Doctor]) -> Iterator[Entry]:
    for one in doctors:
        zone = world.cities[one.person.city].city.time_zone
        for practice in one.practices:
            days = [
                [change.day.isoformat(), [[w.start, w.end] for w in change.windows]]
                for change in one.overrides
                if change.practice is practice
            ]
            state = hours_state(practice, zone, days)
            key = (practice.clinic_id, "hours", practice.practice_id)
            yield Entry(one.person.create_time, *key, state)


def hours_state(practice: Practice, zone: str, days: list[Any]) -> dict[str, Any]:
    return {
        "practice_id": practice.practice_id,
        "revision": 1,
        "time_zone": zone,
        "rules": [[w.weekday, [w.start, w.end], None, None] for w in practice.windows],
        "overrides": days,
    }


def visit_entries(world: World, visits: list[Visit]) -> Iterator[Entry]:
    for one in visits:
        appointment = world.chance.id(Kind.APPOINTMENT, one.number)
        key = (one.practice.clinic_id, "appointment", appointment)
        yield Entry(one.decide_time, *key, visit_state(one))


def visit_state(one: Visit) -> dict[str, Any]:
    return {
        "status": one.status,
        "practice_id": one.practice.practice_id,
        "doctor_id": one.doctor.person.user_id,
        "patient_id": one.patient_id,
        "visit_type_id": one.visit_type.visit_type_id,
        "start_time": one.start,
        "end_time": one.end,
        "confirm_time": one.confirm_time,
    }
