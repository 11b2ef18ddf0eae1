"""Which free time goes to whom: who joined first, and of what suits them the earliest."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from server.availability.service import DaySlots

# Nobody can answer an offer of what begins at once.
SHORTEST = timedelta(minutes=15)


class Free(NamedTuple):
    """The free starts of one visit type, in order, and how long such a visit is."""

    visit_type_id: UUID
    zone: ZoneInfo
    length: timedelta
    starts: Sequence[datetime]

    @classmethod
    def of(cls, days: Sequence[DaySlots]) -> "Free":
        """Join the days of one visit type; there must be one."""
        offer = days[0].offer
        return cls(
            offer.visit_type_id,
            offer.schedule.zone,
            timedelta(minutes=offer.schedule.terms.length),
            [start for day in days for start in day.starts],
        )


def first_fit(
    waiting: Iterable[Any], free: Mapping[UUID | None, Free], now: datetime
) -> tuple[Any, datetime] | None:
    """Answer the first entry for which there is a time, with that time; `free` is by visit type.

    `waiting` is in the order of joining, with the visit type that each wants.
    """
    for entry in waiting:
        of_type = free.get(entry["visit_type_id"])
        for start in of_type.starts if of_type else ():
            if of_type and start >= now + SHORTEST and suits(entry, of_type, start):
                return entry, start
    return None


def suits(entry: Mapping[str, Any], free: Free, start: datetime) -> bool:
    """Say whether a start is what an entry waits for, was not offered to it, and can be kept."""
    local = start.astimezone(free.zone)
    return (
        (not entry["weekdays"] or local.isoweekday() in entry["weekdays"])
        and entry["earliest_minute"] <= local.hour * 60 + local.minute <= entry["latest_minute"]
        and entry["from_date"] <= local.date() <= entry["until_date"]
        and start not in (entry["offered"] or ())
        and start not in (entry["held"] or ())
        and not _busy(entry, start, start + free.length)
    )


def _busy(entry: Mapping[str, Any], start: datetime, end: datetime) -> bool:
    """Say whether the patient has another visit then."""
    visits = zip(entry["busy_starts"] or (), entry["busy_ends"] or (), strict=True)
    return any(since < end and start < until for since, until in visits)
