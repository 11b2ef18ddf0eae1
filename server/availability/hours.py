"""Opening hours on a wall clock, and the instants they are.

Hours are kept in local minutes because that is what a clinic means by nine o'clock. Here they
become instants, once per local day, so that a change of the clocks moves what it should and
nothing else.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from server.availability import minutes
from server.availability.minutes import DAY_MINUTES, Minutes, Stretch

DAY = timedelta(days=1)


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
    """A practice's hours in its zone; an override replaces the windows that open on its day.

    `extras` are windows that open besides these, each on one day.
    """

    zone: ZoneInfo
    rules: tuple[Rule, ...] = ()
    overrides: Mapping[date, tuple[Window, ...]] = field(default_factory=dict)
    extras: tuple[tuple[date, Window], ...] = ()

    def windows(self, day: date) -> Iterator[Window]:
        """Answer the windows that open on `day`."""
        if day in self.overrides:
            yield from self.overrides[day]
        else:
            yield from (rule.window for rule in self.rules if rule.holds(day))
        yield from (window for opens, window in self.extras if opens == day)


class Span(NamedTuple):
    """Instants from `start` up to, not including, `end`."""

    start: datetime
    end: datetime


def opened(hours: Hours, clocks: Sequence[Stretch], first: date, last: date) -> list[Minutes]:
    """Expand the windows that open from `first` to `last`; touching ones become one, by start.

    `clocks` are those of the zone around these days.
    """
    return minutes.merged(openings(hours, clocks, first, last))


def openings(hours: Hours, clocks: Sequence[Stretch], first: date, last: date) -> list[Minutes]:
    """Expand each of these windows by itself, in no order; one that is jumped over is empty."""
    found: list[Minutes] = []
    for days, window in _openings(hours, first, last):
        found += _expanded(clocks, days, window)
    return found


def spans(hours: Hours, first: date, last: date) -> list[Span]:
    """Answer the same as `opened`, as instants."""
    found = opened(hours, minutes.stretches(hours.zone, first, last), first, last)
    return [Span(minutes.instant(start), minutes.instant(end)) for start, end in found]


def instant(zone: ZoneInfo, local: datetime) -> datetime:
    """Answer when the naive local time, a whole minute, is; of two such times the first.

    For a time that the clocks jump over, the first instant after the jump.
    """
    day = local.date()
    minute = minutes.midnight(day) + local.hour * 60 + local.minute
    (found,) = minutes.from_local(minutes.stretches(zone, day, day), [minute])
    return minutes.instant(found)


def local_day(zone: ZoneInfo, at: datetime) -> date:
    """Answer the day it is in the zone at an instant."""
    return at.astimezone(zone).date()


def on_grid(zone: ZoneInfo, at: datetime, interval: int, offset: int) -> bool:
    """Say whether the local minute of the day is `offset` + n * `interval`, for the first time."""
    local = at.astimezone(zone)
    on_minute = local.second == 0 and local.microsecond == 0
    minute = local.hour * 60 + local.minute
    return on_minute and (minute - offset) % interval == 0 and not local.fold


def covered(by: Sequence[Span], span: Span) -> bool:
    """Say whether one of the merged spans holds all of `span`."""
    return any(outer.start <= span.start and span.end <= outer.end for outer in by)


def _openings(hours: Hours, first: date, last: date) -> Iterator[tuple[Sequence[int], Window]]:
    """Yield each window with the local midnights of the days on which it opens, ascending."""
    opens: dict[Window, list[int]] = {}
    for rule in hours.rules:
        opens.setdefault(rule.window, []).extend(_midnights(rule, first, last))
    replaced = {minutes.midnight(day) for day in hours.overrides}
    for window, days in opens.items():
        yield sorted(set(days) - replaced if replaced else days), window
    for day, windows in hours.overrides.items():
        if first <= day <= last:
            yield from (([minutes.midnight(day)], window) for window in windows)
    for day, window in hours.extras:
        if first <= day <= last:
            yield [minutes.midnight(day)], window


def _midnights(rule: Rule, first: date, last: date) -> range:
    """Answer the local midnights of the days on which a rule holds."""
    first = max(first, rule.valid_from) if rule.valid_from else first
    last = min(last, rule.valid_until) if rule.valid_until else last
    ahead = (rule.weekday - first.isoweekday()) % 7 * DAY_MINUTES
    return range(minutes.midnight(first) + ahead, minutes.midnight(last) + 1, 7 * DAY_MINUTES)


def _expanded(clocks: Sequence[Stretch], days: Sequence[int], window: Window) -> list[Minutes]:
    """Answer the spans of a window that opens on the days with these local midnights."""
    opening, closing = window
    closing += DAY_MINUTES if closing <= opening else 0
    found: list[Minutes] = []
    done = 0
    for start, end, ahead in clocks:
        first = bisect_left(days, start + ahead - opening, lo=done)
        last = bisect_left(days, end + ahead - closing, lo=first)
        if across := days[done:first]:  # open while the clocks change
            opens = minutes.from_local(clocks, across, opening)
            found += zip(opens, minutes.from_local(clocks, across, closing), strict=True)
        since, until = opening - ahead, closing - ahead
        found += [(day + since, day + until) for day in days[first:last]]
        done = last
    return found
