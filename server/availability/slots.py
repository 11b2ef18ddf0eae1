"""The one rule of what can be booked: the offer lists what it lets through, and booking asks it.

`refusal` looks at a start and answers why it cannot be booked, or None. `offered` yields the
starts for which it answers None. Both read `Schedule.free`; there is no second opinion anywhere.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum
from functools import cached_property
from itertools import chain
from zoneinfo import ZoneInfo

from server.availability import hours, minutes
from server.availability.hours import DAY, Hours, Span, local_day, on_grid
from server.availability.minutes import Minutes, Stretch

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
    def clocks(self) -> list[Stretch]:
        """How the zone's clocks stand around the days asked for."""
        return minutes.stretches(self.zone, self.first - MARGIN, self.last + MARGIN)

    @cached_property
    def room(self) -> list[Minutes]:
        """When a visit can start so that it is with its buffers inside the opening hours."""
        opened = hours.opened(self.hours, self.clocks, self.first - MARGIN, self.last + MARGIN)
        before, ahead = self.terms.before, self.terms.length + self.terms.after
        return [
            (start + before, end - ahead + 1)
            for start, end in opened
            if end - start >= before + ahead
        ]

    @cached_property
    def free(self) -> list[Minutes]:
        """That without the starts from which it would take time that is taken."""
        before, ahead = self.terms.before, self.terms.length + self.terms.after
        blocked = (
            (minutes.floor(busy.start) - ahead + 1, minutes.ceil(busy.end) + before)
            for busy in self.busy
        )
        return list(minutes.without(self.room, minutes.merged(blocked)))


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
    minute = minutes.floor(start)
    if not minutes.touching(schedule.room, minute, minute + 1):
        return Refusal.OUTSIDE_HOURS
    if not minutes.touching(schedule.free, minute, minute + 1):
        return Refusal.BUSY
    return None


def offered(schedule: Schedule, now: datetime) -> Iterator[datetime]:
    """Yield every start on the schedule's days that can be booked, in order."""
    first = max(schedule.first, local_day(schedule.zone, now))
    last = min(schedule.last, last_day(schedule, now))
    if first <= last:
        terms = schedule.terms
        within = _on_days(schedule, first, last, _earliest(terms, now))
        starts = minutes.grid(schedule.clocks, within, terms.interval, terms.offset)
        yield from minutes.instants(chain.from_iterable(starts))


def last_day(schedule: Schedule, now: datetime) -> date:
    """Answer the last local day on which a visit can be booked now."""
    return local_day(schedule.zone, now) + schedule.terms.horizon * DAY


def _earliest(terms: Terms, now: datetime) -> int:
    """Answer the first minute that is neither past nor inside the notice."""
    return max(minutes.floor(now) + 1, minutes.ceil(now + timedelta(minutes=terms.notice)))


def _on_days(schedule: Schedule, first: date, last: date, earliest: int) -> list[Minutes]:
    """Cut what is free to the local days from `first` to `last`, not before `earliest`."""
    days = [minutes.midnight(first), minutes.midnight(last + DAY)]
    opening, closing = minutes.from_local(schedule.clocks, days)
    opening = max(opening, earliest)
    return [
        (max(start, opening), min(end, closing))
        for start, end in minutes.touching(schedule.free, opening, closing)
    ]
