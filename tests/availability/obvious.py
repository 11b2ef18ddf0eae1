"""What can be booked, found out the slow way: minute by minute, with what a visit would take."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import accumulate
from typing import Any
from warnings import catch_warnings
from zoneinfo import ZoneInfo

import holidays as library

from server.availability.hours import Span
from server.availability.slots import Schedule, Terms
from tests.availability.drawn import DAY, MINUTE, Drawn

HOUR = timedelta(hours=1)
SATURDAY = 5
DAYS_AROUND = 8  # none of what is drawn is farther from the days that are asked for


def model(drawn: Drawn) -> list[datetime]:
    """Try every minute of the days, and look at each minute that the visit would take."""
    schedule, now = drawn.schedule, drawn.now
    first = datetime.combine(schedule.first, time(), UTC) - 15 * HOUR
    minutes = [first + n * MINUTE for n in range(78 * 60)]
    around = [first + n * MINUTE for n in range(-24 * 60, 102 * 60)]
    windows = list(_windows(schedule))
    closed = {day for day in _days_about(schedule) if is_closed(drawn, day)}
    # When clocks go back over midnight the day that has begun goes on.
    days = accumulate((_day(schedule, minute) for minute in around), max)
    shut = {minute for minute, day in zip(around, days, strict=True) if day in closed}
    opened = _inside(around, windows) - shut - _inside(around, schedule.away)
    free = opened - _inside(around, [*schedule.busy, *schedule.travel])
    seats = {each.start: each.seats for each in schedule.booked if each.shared}
    return [
        start
        for start in minutes
        if schedule.first <= _day(schedule, start) <= schedule.last
        and _is_on_grid(schedule, windows, start)
        and _is_time(schedule, closed, start, now)
        and takes(schedule.terms, start) <= (opened if start in seats else free)
        and seats.get(start, 0) < (schedule.terms.capacity if start in seats else 1)
        and _keeps_limits(schedule, start, joins=start in seats)
    ]


def is_closed(drawn: Drawn, day: date) -> bool:
    """Ask the closures and the library of holidays itself."""
    if any(since <= day <= until for since, until in drawn.closures):
        return True
    observed, country, _, open_on = drawn.kept
    names = _holidays(country, day.year).get(day, "")
    return bool(observed and names and not set(names.split("; ")) <= set(open_on))


@lru_cache
def _holidays(country: str, year: int) -> Any:
    with catch_warnings(action="ignore"):  # of years for which only those by the sun are known
        return library.country_holidays(country, years=year, language="en_US")


def takes(terms: Terms, start: datetime) -> set[datetime]:
    """Answer the minutes that a visit takes with its buffers."""
    return {start + n * MINUTE for n in range(-terms.before, terms.length + terms.after)}


def _days_about(schedule: Schedule) -> list[date]:
    return [schedule.first + n * DAY for n in range(-DAYS_AROUND, DAYS_AROUND + 1)]


def _day(schedule: Schedule, instant: datetime) -> date:
    return instant.astimezone(schedule.zone).date()


def _inside(minutes: list[datetime], spans: Any) -> set[datetime]:
    return {each for start, end in spans for each in minutes if start <= each < end}


def _is_time(schedule: Schedule, closed: set[date], start: datetime, now: datetime) -> bool:
    terms, asked = schedule.terms, schedule.promised.get(start, now)
    today = _day(schedule, asked)
    ahead = [today + n * DAY for n in range(1, (_day(schedule, start) - today).days + 1)]
    counted = [
        day
        for day in ahead
        if not terms.business_days or (day.weekday() < SATURDAY and day not in closed)
    ]
    beyond = len(counted) > terms.horizon or (
        # what comes after the last business day is behind the horizon
        len(counted) == terms.horizon and bool(ahead) and ahead[-1] not in counted
    )
    return start > now and start - asked >= terms.notice * MINUTE and not beyond


def _is_on_grid(schedule: Schedule, windows: list[Span], start: datetime) -> bool:
    interval, local = schedule.terms.interval, start.astimezone(schedule.zone)
    if not schedule.terms.from_opening:
        minute = local.hour * 60 + local.minute - schedule.terms.offset
        return not local.fold and minute % interval == 0
    return any(
        opens <= start < closes and (start - opens) // MINUTE % interval == 0
        for opens, closes in windows
    )


def _keeps_limits(schedule: Schedule, start: datetime, *, joins: bool) -> bool:
    limits = schedule.terms.limits
    length = 0 if joins else schedule.terms.length

    def most(visits: int | None, minutes: int | None, same: Callable[[datetime], Any]) -> bool:
        others = [each for each in schedule.booked if same(each.start) == same(start)]
        count = 1 + sum(each.seats for each in others)
        taken = length + sum((each.end - each.start) // MINUTE for each in others)
        return not (visits and count > visits) and not (minutes and taken > minutes)

    def day(at: datetime) -> Any:
        return _day(schedule, at)

    def week(at: datetime) -> Any:
        return day(at).isocalendar()[:2]

    return most(limits.day_visits, limits.day_minutes, day) and most(
        limits.week_visits, limits.week_minutes, week
    )


def _windows(schedule: Schedule) -> Iterator[Span]:
    hours = schedule.hours
    for day in (schedule.first + n * DAY for n in range(-3, 5)):
        opening = [rule.window for rule in hours.rules if _holds(rule, day)]
        opening = list(hours.overrides.get(day, opening))
        opening += [window for opens, window in hours.extras if opens == day]
        for start, end in opening:
            last = day if end > start else day + DAY
            yield Span(_first_shown(hours.zone, day, start), _first_shown(hours.zone, last, end))


def _holds(rule: Any, day: date) -> bool:
    since, until = rule.valid_from or date.min, rule.valid_until or date.max
    return day.isoweekday() == rule.weekday and since <= day <= until


def _first_shown(zone: ZoneInfo, day: date, minute: int) -> datetime:
    """Watch the clocks from before until they first show the time, or a later one."""
    wanted = datetime.combine(day, time()) + minute * MINUTE
    instant = wanted.replace(tzinfo=UTC) - 15 * HOUR
    while instant.astimezone(zone).replace(tzinfo=None) < wanted:
        instant += MINUTE
    return instant
