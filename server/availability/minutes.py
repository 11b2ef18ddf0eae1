"""Time as whole minutes since 1970: what the engine counts in.

Everything bookable starts on a minute. A span of instants is then a pair of integers, the starts
inside it are a `range`, and thousands of them cost little. Two kinds of minutes exist: those of UTC
(instants) and those that clocks in a zone show (local). `Stretch` is the bridge.
"""

from bisect import bisect_left, bisect_right
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


def from_local(clocks: Sequence[Stretch], local: Sequence[int]) -> Iterator[int]:
    """Answer when clocks first show each of ascending local minutes, or a later one.

    That is the first of two such times, and for one that is jumped over the instant of the jump.
    """
    for start, end, offset in clocks:
        until = bisect_left(local, end + offset)
        found = [minute - offset for minute in local[:until]]
        yield from found if not found or found[0] >= start else (max(start, at) for at in found)
        local = local[until:]


def grid(
    clocks: Sequence[Stretch], within: Sequence[Minutes], interval: int, offset: int
) -> Iterator[range]:
    """Yield, in order, the instants whose local minute of the day is `offset` + n * `interval`.

    `within` is merged and in order. Of a time that clocks show twice it yields the first.
    """
    for stretch in clocks:
        for start, end in touching(within, stretch.start, stretch.end):
            local = range(
                max(start, stretch.start) + stretch.offset, min(end, stretch.end) + stretch.offset
            )
            for on_grid in _on_grid(local, interval, offset):
                yield range(on_grid.start - stretch.offset, on_grid.stop - stretch.offset, interval)


def merged(unordered: Iterable[Minutes]) -> list[Minutes]:
    """Join the spans that touch or overlap."""
    joined: list[Minutes] = []
    reached = None
    for span in sorted(unordered):
        if reached is None or span[0] > reached:
            joined.append(span)
            reached = span[1]
        elif span[1] > reached:
            reached = span[1]
            joined[-1] = joined[-1][0], reached
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
    first = bisect_right(ordered, start, key=_end)
    last = bisect_left(ordered, end, lo=first, key=_start)
    return ordered[first:last]


def _start(span: Minutes) -> int:
    return span[0]


def _end(span: Minutes) -> int:
    return span[1]


def _on_grid(local: range, interval: int, offset: int) -> Iterator[range]:
    """Cut the grid out of local minutes; it starts anew every midnight."""
    if DAY_MINUTES % interval == 0:
        yield range(local.start + (offset - local.start) % interval, local.stop, interval)
        return
    for day in range(local.start // DAY_MINUTES * DAY_MINUTES, local.stop, DAY_MINUTES):
        first, last = max(local.start, day), min(local.stop, day + DAY_MINUTES)
        yield range(first + (offset - (first - day)) % interval, last, interval)


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
