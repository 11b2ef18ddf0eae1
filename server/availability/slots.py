"""The one rule of what can be booked: the offer lists what it lets through, and booking asks it.

`refusal` looks at a start and answers why it cannot be booked, or None. `offered` yields the
starts for which it answers None. Both read `Schedule.free`; there is no second opinion anywhere.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import Enum
from functools import cached_property
from itertools import chain
from typing import NamedTuple
from zoneinfo import ZoneInfo

from server.availability import hours, minutes
from server.availability.hours import DAY, Hours, Span, local_day, on_grid
from server.availability.minutes import Minutes, Stretch

# A visit and its buffers take at most a day each, and windows may run past midnight.
MARGIN = 3 * DAY
MINUTE = timedelta(minutes=1)
FRIDAY = 5


class Refusal(Enum):
    """Why a start cannot be booked; the value is the rule as the caller reads it."""

    PAST = "must be in the future"
    NOTICE = "must be later: the practice asks for notice"
    HORIZON = "must be sooner: the practice does not take bookings that far ahead"
    OFF_GRID = "must be one of the practice's starting times"
    OUTSIDE_HOURS = "must be inside the practice's opening hours"
    CLOSED = "must be when the clinic is not closed"
    TIME_OFF = "must be when the doctor is not away"
    DAY_LIMIT = "must be on another day: no more of these visits are taken on this one"
    WEEK_LIMIT = "must be in another week: no more of these visits are taken in this one"
    BUSY = "is taken"
    FULL = "is full"
    TRAVEL = "must leave the doctor time to come from another clinic"

    @property
    def is_taken(self) -> bool:
        """Whether somebody else has the time; strangers are told no more than that."""
        return self in {Refusal.BUSY, Refusal.FULL, Refusal.TRAVEL}


class Limits(NamedTuple):
    """How much of one visit type is booked on a local day, and in a week from Monday; or None."""

    day_visits: int | None = None
    day_minutes: int | None = None
    week_visits: int | None = None
    week_minutes: int | None = None


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Terms:
    """How one visit type is booked: lengths in minutes, the horizon in local days.

    The grid is `interval` and `offset` on the wall clock, or `from_opening` the interval from the
    start of each window. Up to `capacity` patients come at one start.
    """

    length: int
    before: int
    after: int
    interval: int
    offset: int
    notice: int
    horizon: int
    from_opening: bool = False
    business_days: bool = False
    capacity: int = 1
    limits: Limits = NO_LIMITS

    def visit(self, start: datetime) -> Span:
        """Answer the visit alone."""
        return Span(start, start + timedelta(minutes=self.length))

    def taken(self, start: datetime) -> Span:
        """Answer the visit with its buffers: the time that it takes from the doctor."""
        visit = self.visit(start)
        return Span(
            visit.start - timedelta(minutes=self.before), visit.end + timedelta(minutes=self.after)
        )


class Booked(NamedTuple):
    """A start at which visits of the type are booked, by `seats` patients.

    `shared` says that more of them may come, up to the capacity.
    """

    start: datetime
    end: datetime
    seats: int = 1
    shared: bool = False


@dataclass(frozen=True)
class Schedule:
    """All that decides whether a start from `first` to `last`, local days, can be booked.

    `busy` is the doctor's taken time at any clinic, as far as it can be in the way then; `travel`
    that at other clinics with the ways there and back. `closed` are days, first and last, on which
    the clinic is, from today on where business days count; `away` is when the doctor is. `booked`
    are the visits of this type on these days and in their weeks.
    """

    hours: Hours
    terms: Terms
    busy: Sequence[Span]
    first: date
    last: date
    closed: Sequence[tuple[date, date]] = ()
    away: Sequence[Span] = ()
    travel: Sequence[Span] = ()
    booked: Sequence[Booked] = ()
    promised: Mapping[datetime, datetime] = field(default_factory=dict)

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
    def openings(self) -> list[Minutes]:
        """The windows one by one, by start: where a grid `from_opening` begins."""
        first, last = self.first - MARGIN, self.last + MARGIN
        return sorted(hours.openings(self.hours, self.clocks, first, last))

    @cached_property
    def shut(self) -> list[Minutes]:
        """When the clinic is closed, merged, by start: whole local days."""
        first, last = self.first - MARGIN, self.last + MARGIN
        days = minutes.merged(
            (minutes.midnight(max(since, first)), minutes.midnight(min(until, last) + DAY))
            for since, until in self.closed
            if since <= last and first <= until
        )
        closes = minutes.from_local(self.clocks, [start for start, _ in days])
        opens = minutes.from_local(self.clocks, [end for _, end in days])
        return list(zip(closes, opens, strict=True))

    @cached_property
    def closed_weekdays(self) -> list[date]:
        """The days from Monday to Friday on which the clinic is closed, in order."""
        days = {
            since + n * DAY for since, until in self.closed for n in range((until - since).days + 1)
        }
        return sorted(day for day in days if day.isoweekday() <= FRIDAY)

    @cached_property
    def offered_room(self) -> list[Minutes]:
        """The room without the starts from which it would take time off or time of a closure."""
        return self._without(self.room, [*self.shut, *_minutes(self.away)])

    @cached_property
    def free(self) -> list[Minutes]:
        """That without the starts from which it would take time that is taken."""
        taken = [*_minutes(self.busy), *_minutes(self.travel)]
        free = self._without(self.offered_room, taken)
        return self._with_seats(free) if self.shared else free

    @cached_property
    def shared(self) -> dict[int, Booked]:
        """The starts at which more patients may come while there are seats."""
        return {minutes.floor(each.start): each for each in self.booked if each.shared}

    @cached_property
    def totals(self) -> dict[date, tuple[int, int]]:
        """Visits and minutes that are booked, by local day."""
        found: dict[date, tuple[int, int]] = {}
        for start, end, seats, _ in self.booked:
            visits, length = found.get(day := local_day(self.zone, start), (0, 0))
            found[day] = visits + seats, length + (end - start) // MINUTE
        return found

    def blocked(self, spans: Iterable[Minutes]) -> list[Minutes]:
        """Answer the starts from which a visit with its buffers would touch the spans, merged."""
        before, ahead = self.terms.before, self.terms.length + self.terms.after
        return minutes.merged((start - ahead + 1, end + before) for start, end in spans)

    def _without(self, starts: list[Minutes], spans: list[Minutes]) -> list[Minutes]:
        return list(minutes.without(starts, self.blocked(spans))) if spans else starts

    def _with_seats(self, free: list[Minutes]) -> list[Minutes]:
        """Add the shared starts that have seats to what is free, and remove the others."""
        starts = [(minute, minute + 1) for minute in sorted(self.shared)]
        joined = [
            (minute, end)
            for minute, end in starts
            if self.shared[minute].seats < self.terms.capacity and within(self.offered_room, minute)
        ]
        return minutes.merged([*minutes.without(free, minutes.merged(starts)), *joined])


def refusal(schedule: Schedule, start: datetime, now: datetime) -> Refusal | None:
    """Answer why a visit cannot start then, or None when it can."""
    if start <= now:
        return Refusal.PAST
    asked = schedule.promised.get(start, now)
    if start < asked + timedelta(minutes=schedule.terms.notice):
        return Refusal.NOTICE
    if local_day(schedule.zone, start) > last_day(schedule, asked):
        return Refusal.HORIZON
    if not _on_grid(schedule, start):
        return Refusal.OFF_GRID
    minute = minutes.floor(start)
    if not within(schedule.offered_room, minute):
        return _not_open(schedule, minute)
    if not within(schedule.free, minute):
        return _taken(schedule, minute)
    return _limit(schedule, start)


def offered(schedule: Schedule, now: datetime) -> Iterator[datetime]:
    """Yield every start on the schedule's days that can be booked, in order."""
    if not schedule.promised:
        return _offered(schedule, now)
    days = (schedule.first, schedule.last)
    kept = (
        start
        for start in schedule.promised
        if days[0] <= local_day(schedule.zone, start) <= days[1]
        and refusal(schedule, start, now) is None
    )
    return iter(sorted({*_offered(schedule, now), *kept}))


def _offered(schedule: Schedule, now: datetime) -> Iterator[datetime]:
    first = max(schedule.first, local_day(schedule.zone, now))
    last = min(schedule.last, last_day(schedule, now))
    if first > last:
        return
    spans = _on_days(schedule, first, last, _earliest(schedule.terms, now))
    starts = minutes.instants(_starts(schedule, spans))
    if any(schedule.terms.limits):
        starts = (start for start in starts if _limit(schedule, start) is None)
    yield from starts


def last_day(schedule: Schedule, now: datetime) -> date:
    """Answer the last local day on which a visit can be booked now."""
    today, horizon = local_day(schedule.zone, now), schedule.terms.horizon
    if not schedule.terms.business_days:
        return today + horizon * DAY
    closed = [day for day in schedule.closed_weekdays if day > today]
    reached = horizon
    while (more := horizon + bisect_right(closed, business_day(today, reached))) > reached:
        reached = more
    return business_day(today, reached)


def business_day(today: date, count: int) -> date:
    """Answer the day that is `count` days from Monday to Friday after `today`."""
    if not count:
        return today
    counted = min(today.isoweekday(), FRIDAY)  # a weekend counts from its Friday
    weeks, rest = divmod(counted - 1 + count, 5)
    return today + (7 * weeks + rest + 1 - today.isoweekday()) * DAY


def within(spans: Sequence[Minutes], minute: int) -> bool:
    """Say whether a minute is in one of the merged spans."""
    return bool(minutes.touching(spans, minute, minute + 1))


def _starts(schedule: Schedule, spans: Sequence[Minutes]) -> Iterable[int]:
    """Cut the grid out of merged spans."""
    terms = schedule.terms
    if terms.from_opening:
        return minutes.steps(schedule.openings, spans, terms.interval)
    return chain.from_iterable(minutes.grid(schedule.clocks, spans, terms.interval, terms.offset))


def _on_grid(schedule: Schedule, start: datetime) -> bool:
    terms, minute = schedule.terms, minutes.floor(start)
    if not terms.from_opening:
        return on_grid(schedule.zone, start, terms.interval, terms.offset)
    on_minute = start == minutes.instant(minute)
    return on_minute and bool(
        minutes.steps(schedule.openings, [(minute, minute + 1)], terms.interval)
    )


def _minutes(spans: Iterable[Span]) -> Iterator[Minutes]:
    """Answer the minutes that the spans touch."""
    return ((minutes.floor(start), minutes.ceil(end)) for start, end in spans)


def _not_open(schedule: Schedule, minute: int) -> Refusal:
    if not within(schedule.room, minute):
        return Refusal.OUTSIDE_HOURS
    closed = within(schedule.blocked(schedule.shut), minute)
    return Refusal.CLOSED if closed else Refusal.TIME_OFF


def _taken(schedule: Schedule, minute: int) -> Refusal:
    if minute in schedule.shared:
        return Refusal.FULL
    busy = within(schedule.blocked(_minutes(schedule.busy)), minute)
    return Refusal.BUSY if busy else Refusal.TRAVEL


def _limit(schedule: Schedule, start: datetime) -> Refusal | None:
    """Count a visit among those of its local day and week."""
    limits, day = schedule.terms.limits, local_day(schedule.zone, start)
    if not any(limits):
        return None
    length = 0 if minutes.floor(start) in schedule.shared else schedule.terms.length
    if _over(schedule, [day], length, limits.day_visits, limits.day_minutes):
        return Refusal.DAY_LIMIT
    week = [day + n * DAY for n in range(1 - day.isoweekday(), 8 - day.isoweekday())]
    over = _over(schedule, week, length, limits.week_visits, limits.week_minutes)
    return Refusal.WEEK_LIMIT if over else None


def _over(
    schedule: Schedule, days: Sequence[date], length: int, most: int | None, longest: int | None
) -> bool:
    """Say whether one more visit of `length` is more than may be on these days; None is any."""
    totals = [schedule.totals.get(day, (0, 0)) for day in days]
    booked, taken = 1 + sum(each[0] for each in totals), length + sum(each[1] for each in totals)
    return bool((most and booked > most) or (longest and taken > longest))


def _earliest(terms: Terms, now: datetime) -> int:
    """Answer the first minute that is neither past nor inside the notice."""
    return max(minutes.floor(now) + 1, minutes.ceil(now + timedelta(minutes=terms.notice)))


def _on_days(schedule: Schedule, first: date, last: date, earliest: int) -> list[Minutes]:
    """Cut what is free to the local days from `first` to `last`, not before `earliest`."""
    days = [minutes.midnight(first), minutes.midnight(last + DAY)]
    opening, closing = minutes.from_local(schedule.clocks, days)
    return minutes.clipped(schedule.free, max(opening, earliest), closing)
