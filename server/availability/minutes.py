"""Time as whole minutes since 1970: what the engine counts in.

Everything bookable starts on a minute. A span of instants is then a pair of integers, the starts
inside it are a `range`, and thousands of them cost little. Two kinds of minutes exist: those of UTC
(instants) and those that clocks in a zone show (local). `Stretch` is the bridge.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

DAY_MINUTES = 1440
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = _EPOCH.toordinal()
_MINUTE = timedelta(minutes=1)
_LATER = tuple(n * _MINUTE for n in range(DAY_MINUTES))

Minutes = tuple[int, int]  # instants from the first up to, not including, the second


class Stretch(NamedTuple):
    """Instants from `start` up to `end` at which clocks are `offset` minutes ahead of UTC.

    Where the clocks went back before it, it starts when they show a time for the first time.
    """

    start: int
    end: int
    offset: int


def midnight(day: date) -> int:
    """Answer the local minute at which a day begins."""
    return (day.toordinal() - _EPOCH_DAY) * DAY_MINUTES


def floor(at: datetime) -> int:
    """Answer the minute in which an instant is."""
    return (at - _EPOCH) // _MINUTE


def ceil(at: datetime) -> int:
    """Answer the first minute that does not begin before an instant."""
    return -((_EPOCH - at) // _MINUTE)


def instant(minute: int) -> datetime:
    """Answer the beginning of a minute of UTC."""
    return _EPOCH + minute * _MINUTE


def instants(minutes: Iterable[int]) -> Iterator[datetime]:
    """Answer the beginnings of ascending minutes; quick where many are on the same day."""
    begin, day = 0, _EPOCH
    for minute in minutes:
        if minute - begin >= DAY_MINUTES:
            begin = minute - minute % DAY_MINUTES
            day = instant(begin)
        yield day + _LATER[minute - begin]


def stretches(zone: ZoneInfo, first: date, last: date) -> list[Stretch]:
    """Answer how the zone's clocks stand, from two days before `first` to two after `last`."""
    begin, end = midnight(first) - 2 * DAY_MINUTES, midnight(last) + 3 * DAY_MINUTES
    years = range(instant(begin).year, instant(end).year + 1)
    changes = [at for year in years for at in _changes(zone, year) if begin < at < end]
    bounds = [begin, *changes, end]
    found: list[Stretch] = []
    for start, stop in pairwise(bounds):
        offset = _offset(zone, start)
        shown = found[-1].end + found[-1].offset if found else start + offset
        found.append(Stretch(max(start, shown - offset), stop, offset))
    return found


def from_local(clocks: Sequence[Stretch], local: Sequence[int], later: int = 0) -> list[int]:
    """Answer when clocks first show each of ascending local minutes, `later` minutes later.

    That is the first of two such times, and for one that is jumped over the instant of the jump.
    """
    found: list[int] = []
    done = 0
    for start, end, ahead in clocks:
        until = bisect_left(local, end + ahead - later, lo=done)
        shift = later - ahead
        here = [minute + shift for minute in local[done:until]]
        if here and here[0] < start:
            here = [max(start, minute) for minute in here]
        found += here
        done = until
    return found


def grid(
    clocks: Sequence[Stretch], within: Sequence[Minutes], interval: int, offset: int
) -> Iterator[range]:
    """Yield, in order, the instants whose local minute of the day is `offset` + n * `interval`.

    `within` is merged and in order. Of a time that clocks show twice it yields the first.
    """
    for start, end, anchor in _sections(clocks, interval, offset):
        for opening, closing in clipped(within, start, end):
            yield range(opening + (anchor - opening) % interval, closing, interval)


def steps(openings: Iterable[Minutes], within: Sequence[Minutes], interval: int) -> Iterable[int]:
    """Answer, in order, the instants n * `interval` after the start of one of the openings.

    An opening counts up to its end; `within` is merged and in order.
    """
    found: set[int] = set()
    for opening, closing in openings:
        for start, end in touching(within, opening, closing):
            first = max(start, opening)
            first += (opening - first) % interval
            found.update(range(first, min(end, closing), interval))
    return sorted(found)


def merged(unordered: Iterable[Minutes]) -> list[Minutes]:
    """Join the spans that touch or overlap; empty ones are left out."""
    joined: list[Minutes] = []
    reached = float("-inf")
    for span in sorted(unordered):
        start, end = span
        if end <= reached or start == end:
            continue
        if start > reached:
            joined.append(span)
        else:
            joined[-1] = joined[-1][0], end
        reached = end
    return joined


def without(spans: Iterable[Minutes], removed: Sequence[Minutes]) -> Iterator[Minutes]:
    """Cut merged spans out of others; both in order."""
    for start, end in spans:
        left = start
        for gone_start, gone_end in touching(removed, start, end):
            if left < gone_start:
                yield left, gone_start
            left = gone_end
        if left < end:
            yield left, end


def touching(ordered: Sequence[Minutes], start: int, end: int) -> Sequence[Minutes]:
    """Answer those of the merged spans that share a minute with those from `start` to `end`."""
    first = bisect_left(ordered, (start + 1, start))
    if first and ordered[first - 1][1] > start:
        first -= 1
    return ordered[first : bisect_left(ordered, (end, end), lo=first)]


def clipped(ordered: Sequence[Minutes], start: int, end: int) -> list[Minutes]:
    """Answer what merged spans share with the minutes from `start` to `end`."""
    found = list(touching(ordered, start, end))
    if found:
        found[0] = max(found[0][0], start), found[0][1]
        found[-1] = found[-1][0], min(found[-1][1], end)
    return found


def _sections(
    clocks: Sequence[Stretch], interval: int, offset: int
) -> Iterator[tuple[int, int, int]]:
    """Cut time where the grid starts anew; yield from when, until when, and an instant on it.

    An interval that does not divide the day starts anew at every midnight.
    """
    for start, end, ahead in clocks:
        if DAY_MINUTES % interval == 0:
            yield start, end, offset - ahead
            continue
        first = (start + ahead) // DAY_MINUTES * DAY_MINUTES - ahead
        for day in range(first, end, DAY_MINUTES):
            yield max(start, day), min(end, day + DAY_MINUTES), day + offset


@lru_cache(maxsize=8192)
def _changes(zone: ZoneInfo, year: int) -> tuple[int, ...]:
    """Find the minutes of a year at which the zone's clocks are put forward or back."""
    days = range(midnight(date(year, 1, 1)), midnight(date(year, 12, 31)) + 1, DAY_MINUTES)
    return tuple(
        _change(zone, day, day + DAY_MINUTES)
        for day in days
        if _offset(zone, day) != _offset(zone, day + DAY_MINUTES)
    )


def _change(zone: ZoneInfo, early: int, late: int) -> int:
    """Find the first minute between two at which the offset is another than at `early`."""
    before = _offset(zone, early)
    while late - early > 1:
        middle = (early + late) // 2
        if _offset(zone, middle) == before:
            early = middle
        else:
            late = middle
    return late


def _offset(zone: ZoneInfo, minute: int) -> int:
    ahead = instant(minute).astimezone(zone).utcoffset() or timedelta()
    return ahead // _MINUTE
