"""Changing how a kind of visit is booked, with an eye on what is booked already."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from asyncpg import Record

from server.availability import edit
from server.availability.hours import Hours, Span
from server.availability.stranded import Visit, coming, refuse
from server.core.db import Transaction
from server.directory import visit_types
from server.directory.visit_types import Rules

_TAKING = ("length_minutes", "buffer_before_minutes", "buffer_after_minutes")


async def replace(
    tx: Transaction, old: Record, rules: Rules, currency: str, *, allow_stranded: bool
) -> dict[str, Any]:
    """Replace the rules of the visit type that was found; its calendar must be locked.

    Raises InvalidField for a price that is not in the clinic's currency, and StrandsAppointments.
    """
    if not allow_stranded:
        await _check(tx, old, rules)
    return await visit_types.replace(tx, old, rules, currency)


async def _check(tx: Transaction, old: Record, rules: Rules) -> None:
    """Raise StrandsAppointments when visits fit the old rules and do not fit the new ones."""
    practice_id, visit_type_id = old["practice_id"], old["visit_type_id"]
    found = await edit.find_hours(tx, practice_id)
    visits = [each for each in await coming(tx, practice_id) if each.visit_type_id == visit_type_id]
    was, new = dict(old.items()), asdict(rules)
    refuse(_outgrown(visits, found.hours, was, new), f"rules.{_changed(was, new)}")
    before = _crowded(visits, old["capacity"])
    crowded = [each for each in _crowded(visits, rules.capacity) if each not in before]
    refuse(crowded, "rules.capacity")


def _outgrown(
    visits: Sequence[Visit], hours: Hours, old: Mapping[str, Any], new: Mapping[str, Any]
) -> list[Visit]:
    """Answer those that are inside the hours with the old length and buffers alone."""
    before = edit.outside(visits, hours, _taken(old))
    return [each for each in edit.outside(visits, hours, _taken(new)) if each not in before]


def _taken(rules: Mapping[str, Any]) -> Callable[[Span], Span]:
    """Answer what a visit that starts then would take by these rules."""
    length, before, after = (timedelta(minutes=rules[name]) for name in _TAKING)
    return lambda span: Span(span.start - before, span.start + length + after)


def _changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Name the first of length and buffers that grows."""
    return next((name for name in _TAKING if new[name] > old[name]), _TAKING[0])


def _crowded(visits: Sequence[Visit], capacity: int) -> list[Visit]:
    """Answer those that come to a group of more than may come."""
    seats = Counter(visit.session_id for visit in visits if visit.session_id)
    return [each for each in visits if each.session_id and seats[each.session_id] > capacity]
