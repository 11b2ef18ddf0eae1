"""The one rule of what can be booked: the offer lists what it lets through, and booking asks it.

`refusal` looks at a start and answers why it cannot be booked, or None. `offered` yields the
starts for which it answers None. There is no second opinion anywhere.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum
from functools import cached_property
from zoneinfo import ZoneInfo

from server.availability.hours import (
    DAY,
    Hours,
    Span,
    covered,
    grid,
    local_day,
    merged,
    on_grid,
    spans,
)

# A visit and its buffers take at most a day each, and windows may run past midnight.
MARGIN = 3 * DAY


class Refusal(Enum):
    """Why a start cannot be booked; the value is the rule as the caller reads it."""

    PAST = "must be in the future"
    NOTICE = "must be later: the practice asks for notice"
    HORIZON = "must be sooner: the practice does not take bookings that far ahead"
    OFF_GRID = "must be one of the practice's starting times"
    OUTSIDE_HOURS = "must be inside the practice's opening hours"
    BUSY = "is taken"


@dataclass(frozen=True, slots=True)
class Terms:
    """How one visit type is booked: lengths in minutes, the horizon in local days."""

    length: int
    before: int
    after: int
    interval: int
    offset: int
    notice: int
    horizon: int

    def visit(self, start: datetime) -> Span:
        """Answer the visit alone."""
        return Span(start, start + timedelta(minutes=self.length))

    def taken(self, start: datetime) -> Span:
        """Answer the visit with its buffers: the time that it takes from the doctor."""
        visit = self.visit(start)
        return Span(
            visit.start - timedelta(minutes=self.before), visit.end + timedelta(minutes=self.after)
        )


@dataclass(frozen=True)
class Schedule:
    """All that decides whether a start from `first` to `last`, local days, can be booked.

    `busy` is the doctor's taken time at any clinic, over those days and `MARGIN` around.
    """

    hours: Hours
    terms: Terms
    busy: Sequence[Span]
    first: date
    last: date

    @property
    def zone(self) -> ZoneInfo:
        return self.hours.zone

    @cached_property
    def open(self) -> list[Span]:
        """The opening hours around the days asked for, by start."""
        return spans(self.hours, self.first - MARGIN, self.last + MARGIN)

    @cached_property
    def taken(self) -> list[Span]:
        """The taken time, merged, by start."""
        return merged(self.busy)


def refusal(schedule: Schedule, start: datetime, now: datetime) -> Refusal | None:
    """Answer why a visit cannot start then, or None when it can."""
    terms = schedule.terms
    if start <= now:
        return Refusal.PAST
    if start < now + timedelta(minutes=terms.notice):
        return Refusal.NOTICE
    if local_day(schedule.zone, start) > last_day(schedule, now):
        return Refusal.HORIZON
    if not on_grid(schedule.zone, start, terms.interval, terms.offset):
        return Refusal.OFF_GRID
    return _no_room(schedule, terms.taken(start))


def offered(schedule: Schedule, now: datetime) -> Iterator[datetime]:
    """Yield every start on the schedule's days that can be booked, in order."""
    first = max(schedule.first, local_day(schedule.zone, now))
    last = min(schedule.last, last_day(schedule, now))
    for span in schedule.open:
        for start in grid(schedule.zone, span, schedule.terms.interval, schedule.terms.offset):
            day = local_day(schedule.zone, start)
            if first <= day <= last and refusal(schedule, start, now) is None:
                yield start


def last_day(schedule: Schedule, now: datetime) -> date:
    """Answer the last local day on which a visit can be booked now."""
    return local_day(schedule.zone, now) + schedule.terms.horizon * DAY


def _no_room(schedule: Schedule, wanted: Span) -> Refusal | None:
    if not covered(_around(schedule.open, wanted), wanted):
        return Refusal.OUTSIDE_HOURS
    if any(
        busy.start < wanted.end and wanted.start < busy.end
        for busy in _around(schedule.taken, wanted)
    ):
        return Refusal.BUSY
    return None


def _around(ordered: Sequence[Span], wanted: Span) -> Sequence[Span]:
    """Answer those of the merged spans that can touch `wanted`."""
    first = max(0, bisect_right(ordered, wanted.start, key=lambda span: span.start) - 1)
    last = bisect_right(ordered, wanted.end, key=lambda span: span.start)
    return ordered[first:last]
