"""Opening hours on a wall clock, and the instants they are.

Hours are kept in local minutes because that is what a clinic means by nine o'clock. Here they
become instants, once per local day, so that a change of the clocks moves what it should and
nothing else.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


class Window(NamedTuple):
    """Minutes of the wall clock, 0 to 1439; an end at or before the start is on the next day."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Rule:
    """A window of every week from `valid_from` to `valid_until`, both included; None is open."""

    weekday: int
    window: Window
    valid_from: date | None = None
    valid_until: date | None = None

    def holds(self, day: date) -> bool:
        """Say whether the window opens on `day`."""
        return (
            day.isoweekday() == self.weekday
            and (self.valid_from is None or self.valid_from <= day)
            and (self.valid_until is None or day <= self.valid_until)
        )


@dataclass(frozen=True, slots=True)
class Hours:
    """A practice's hours in its zone; an override replaces the windows that open on its day."""

    zone: ZoneInfo
    rules: tuple[Rule, ...] = ()
    overrides: Mapping[date, tuple[Window, ...]] = field(default_factory=dict)

    def windows(self, day: date) -> Iterable[Window]:
        """Answer the windows that open on `day`."""
        if day in self.overrides:
            return self.overrides[day]
        return (rule.window for rule in self.rules if rule.holds(day))


class Span(NamedTuple):
    """Instants from `start` up to, not including, `end`."""

    start: datetime
    end: datetime


def spans(hours: Hours, first: date, last: date) -> list[Span]:
    """Expand the windows that open from `first` to `last`; touching ones become one, by start."""
    opened = (
        _span(hours.zone, day, window)
        for day in _days(first, last)
        for window in hours.windows(day)
    )
    return merged(span for span in opened if span.start < span.end)


def merged(unordered: Iterable[Span]) -> list[Span]:
    """Join the spans that touch or overlap."""
    joined: list[Span] = []
    for span in sorted(unordered):
        if joined and span.start <= joined[-1].end:
            joined[-1] = Span(joined[-1].start, max(joined[-1].end, span.end))
        else:
            joined.append(span)
    return joined


@lru_cache(maxsize=65536)
def instant(zone: ZoneInfo, local: datetime) -> datetime:
    """Answer when the naive local time is; of two such times the first.

    For a time that the clocks jump over, the first instant after the jump.
    """
    found = local.replace(tzinfo=zone).astimezone(UTC)
    if found.astimezone(zone).replace(tzinfo=None) == local:
        return found
    early = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return _first_after_jump(zone, early, found)


def exists(zone: ZoneInfo, local: datetime) -> bool:
    """Say whether clocks in the zone ever show the naive local time."""
    return instant(zone, local).astimezone(zone).replace(tzinfo=None) == local


def local_day(zone: ZoneInfo, at: datetime) -> date:
    """Answer the day it is in the zone at an instant."""
    return at.astimezone(zone).date()


def grid(zone: ZoneInfo, span: Span, interval: int, offset: int) -> Iterator[datetime]:
    """Yield the instants in `span` whose local minute of the day is `offset` + n * `interval`."""
    local = span.start.astimezone(zone).replace(tzinfo=None)
    local = _next_on_grid(local, interval, offset)
    while (at := instant(zone, local)) < span.end:
        if at >= span.start and exists(zone, local):
            yield at
        local = _next_on_grid(local + MINUTE, interval, offset)


def on_grid(zone: ZoneInfo, at: datetime, interval: int, offset: int) -> bool:
    """Say whether `grid` yields this instant."""
    local = at.astimezone(zone).replace(tzinfo=None)
    on_minute = local.second == 0 and local.microsecond == 0
    minute = local.hour * 60 + local.minute
    return on_minute and (minute - offset) % interval == 0 and instant(zone, local) == at


def covered(by: Sequence[Span], span: Span) -> bool:
    """Say whether one of the merged spans holds all of `span`."""
    return any(outer.start <= span.start and span.end <= outer.end for outer in by)


def _next_on_grid(local: datetime, interval: int, offset: int) -> datetime:
    """Answer the first grid time at or after `local`; the grid starts anew every midnight."""
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    passed = -(-(local - midnight) // MINUTE)
    minute = passed + (offset - passed) % interval
    if minute < 1440:
        return midnight + minute * MINUTE
    return midnight + DAY + (offset % interval) * MINUTE


def _span(zone: ZoneInfo, day: date, window: Window) -> Span:
    midnight = datetime.combine(day, datetime.min.time())
    closing = midnight if window.end > window.start else midnight + DAY
    return Span(
        instant(zone, midnight + window.start * MINUTE),
        instant(zone, closing + window.end * MINUTE),
    )


def _days(first: date, last: date) -> Iterator[date]:
    return (first + n * DAY for n in range((last - first).days + 1))


def _first_after_jump(zone: ZoneInfo, early: datetime, late: datetime) -> datetime:
    """Find the minute between two instants at which the zone's offset changes."""
    before = early.astimezone(zone).utcoffset()
    while late - early > MINUTE:
        middle = early + (late - early) // MINUTE // 2 * MINUTE
        if middle.astimezone(zone).utcoffset() == before:
            early = middle
        else:
            late = middle
    return late
