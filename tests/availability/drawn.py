"""Schedules drawn at random: every rule, any zone, any two years, near changes of the clocks."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import strategies as st

from server.availability import holidays
from server.availability.holidays import Kept
from server.availability.hours import Hours, Rule, Span, Window
from server.availability.slots import Booked, Limits, Schedule, Terms

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
STEP = 5 * MINUTE
SATURDAY = 5
ZONES = sorted(available_timezones())
# Gaps and folds of an hour, of half an hour, of two and three hours, at midnight and for Ramadan.
CHANGING = [
    *("America/New_York", "Europe/London", "Australia/Lord_Howe", "Africa/Casablanca"),
    *("America/Sao_Paulo", "America/St_Johns", "America/Havana", "Antarctica/Troll"),
    *("Antarctica/Casey", "Pacific/Apia", "Asia/Beirut", "America/Santiago"),
]
YEARS = st.integers(1980, 2090)
NOT_KEPT = Kept(observed=False, country_code="US", subdivision="")


class Drawn(NamedTuple):
    """A schedule with the present, and what its closed days were made of."""

    schedule: Schedule
    now: datetime
    closures: tuple[tuple[date, date], ...]
    kept: Kept


minutes_of_day = st.one_of(
    st.integers(0, 95).map(lambda n: n * 15),
    st.integers(0, 14).map(lambda n: n * 15),  # when clocks change
    st.integers(0, 1439),
)
windows = st.one_of(st.just(Window(0, 0)), st.builds(Window, minutes_of_day, minutes_of_day))
early = st.one_of(
    st.just(Window(0, 0)),
    st.builds(Window, st.integers(0, 14).map(lambda n: n * 15), minutes_of_day),
)
few_days = st.integers(0, 2)
few = st.sampled_from([None, None, None, 1, 2])
limits = st.builds(
    Limits,
    day_visits=few,
    day_minutes=st.sampled_from([None, None, None, 60, 120]),
    week_visits=st.sampled_from([None, 1, 2, 3]),
    week_minutes=st.sampled_from([None, 90, 240]),
)
terms = st.builds(
    Terms,
    length=st.one_of(st.integers(1, 18).map(lambda n: n * 5), st.integers(1, 90)),
    before=st.sampled_from([0, 0, 1, 5, 30]),
    after=st.sampled_from([0, 0, 7, 10, 45]),
    interval=st.sampled_from([7, 10, 15, 20, 30, 45, 60]),
    offset=st.sampled_from([0, 0, 5, 10]),
    notice=st.sampled_from([0, 0, 30, 600]),
    horizon=st.one_of(st.integers(0, 5), st.just(9), st.just(9)),
    from_opening=st.booleans(),
    business_days=st.booleans(),
    capacity=st.integers(1, 3),
    limits=st.one_of(st.just(Limits()), limits, limits),
)
keeping = st.builds(
    Kept,
    observed=st.booleans(),
    country_code=st.sampled_from(["US", "GB", "FR", "BR", "DE", "NZ"]),
    subdivision=st.just(""),
    open_on=st.lists(st.sampled_from(["New Year's Day", "Christmas Day"]), max_size=1).map(tuple),
)


@lru_cache(maxsize=4096)
def changes(name: str, year: int) -> list[date]:
    """Answer the days of a year on which the clocks of a zone change."""
    zone, noon = ZoneInfo(name), datetime(year, 1, 1, 12, tzinfo=UTC)
    days = [noon + n * DAY for n in range(366)]
    offsets = [day.astimezone(zone).utcoffset() for day in days]
    pairs = zip(days, offsets, offsets[1:], strict=False)
    return [(day + DAY).date() for day, early, late in pairs if early != late]


@st.composite
def first_days(draw: st.DrawFn, zone: str, kept: Kept, focus: str) -> date:
    """Draw a day of two years: any, or about a change of the clocks, or about a holiday."""
    year = draw(YEARS)
    near = {
        "clocks": changes(zone, year),
        "horizon": [each.day for each in holidays.of_year(kept.country_code, "", year)],
    }.get(focus)
    if near:
        return draw(st.sampled_from(near)) - draw(st.integers(0, 1)) * DAY
    return date(year, 1, 1) + draw(st.integers(0, 730)) * DAY


@st.composite
def hours_around(draw: st.DrawFn, zone: str, first: date, focus: str) -> Hours:
    """Draw rules, some of which hold for some days only, overrides and extra openings."""
    near = st.integers(-1, 2).map(lambda n: first + n * DAY)
    bound = st.one_of(st.none(), st.none(), near)
    weekdays = st.one_of(
        st.integers(1, 7), *(st.just((first + n * DAY).isoweekday()) for n in range(2))
    )
    rules = tuple(
        Rule(draw(weekdays), draw(windows), draw(bound), draw(bound))
        for _ in range(draw(st.integers(0, 6)))
    )
    changed = {
        draw(near): tuple(draw(st.lists(windows, max_size=2)))
        for _ in range(draw(st.integers(0, 2)))
    }
    extras = tuple((draw(near), draw(windows)) for _ in range(draw(st.sampled_from([0, 0, 1, 2]))))
    if focus == "clocks":
        changed = {first + n * DAY: tuple(draw(st.lists(early, max_size=2))) for n in range(2)}
    elif focus == "horizon":
        rules += tuple(Rule(day, Window(0, 0)) for day in range(1, 8))
    return Hours(ZoneInfo(zone), rules, changed, extras)


@st.composite
def presents(draw: st.DrawFn, midnight: datetime, notice: int, focus: str) -> datetime:
    """Draw a present up to six days before, often a minute about where the notice begins."""
    if focus == "horizon" or draw(st.booleans()):
        return midnight + draw(st.integers(-6 * 1440, 900)) * MINUTE
    about = draw(st.integers(-20, 120)) * 15 + draw(st.sampled_from([0, 0, -1, 1])) - notice
    return midnight + about * MINUTE + draw(st.sampled_from([0, 0, 30])) * MINUTE / 60


@st.composite
def drawn(draw: st.DrawFn) -> Drawn:
    """Draw a schedule of two days, and a present before or in it.

    Much is rare where everything is drawn at once; so some draws look at the changes of the clocks,
    some at the days that the horizon counts, some at what is taken.
    """
    focus = draw(st.sampled_from(["clocks", "clocks", "horizon", "taken", "any"]))
    zone = draw(st.sampled_from(CHANGING if focus == "clocks" else ZONES))
    kept = draw(keeping) if focus in {"horizon", "any"} else NOT_KEPT
    first = draw(first_days(zone, kept, focus))
    chosen = draw(terms)
    if focus in {"clocks", "taken"}:
        chosen = replace(chosen, horizon=9, notice=min(chosen.notice, 30))
    midnight = datetime(first.year, first.month, first.day, tzinfo=UTC)
    now = draw(presents(midnight, chosen.notice, focus))
    if focus == "horizon":
        days = draw(st.integers(0, 2))
        while (now + (days + 1) * DAY).date() <= first:
            days += 1
        weekends = sum((now + n * DAY).weekday() >= SATURDAY for n in range(1, days + 1))
        days = max(0, days - draw(st.sampled_from([weekends, weekends + 1, 0])))
        chosen = replace(chosen, horizon=days, notice=0, business_days=draw(st.booleans()))
    closures: tuple[tuple[date, date], ...] = ()
    if focus in {"horizon", "any"}:
        found = draw(st.lists(st.tuples(st.integers(-4, 2), few_days), max_size=1))
        closures = tuple(
            (first + start * DAY, first + (start + more) * DAY) for start, more in found
        )
    public = holidays.closed_days(kept, first - 9 * DAY, first + 9 * DAY)
    schedule = Schedule(
        draw(hours_around(zone, first, focus)),
        chosen,
        first=first,
        last=first + DAY,
        closed=[*closures, *((day, day) for day in public)],
        **draw(taken(midnight, now, chosen.notice, most=1 if focus == "clocks" else 4)),
    )
    return Drawn(schedule, now, closures, kept)


@st.composite
def taken(
    draw: st.DrawFn, midnight: datetime, now: datetime, notice: int, most: int
) -> dict[str, Any]:
    """Draw what takes time of the two days, and what the caller holds in them."""
    spans = st.builds(
        lambda start, length: Span(midnight + start * STEP, midnight + (start + length) * STEP),
        st.integers(-144, 720),
        st.integers(1, 30),
    )
    visits = st.builds(
        lambda start, seats, shared: Booked(start, start + 25 * MINUTE, seats, shared),
        st.integers(-100, 200).map(lambda quarter: midnight + quarter * 15 * MINUTE),
        st.integers(1, 3),
        st.booleans(),
    )
    held = st.integers(0, 200).map(lambda quarter: midnight + quarter * 15 * MINUTE)
    sooner = now.replace(minute=now.minute // 15 * 15, second=0) + notice * MINUTE
    soon = st.integers(0, 3).map(lambda n: sooner - n * 15 * MINUTE)
    promised = draw(st.lists(st.one_of(held, soon), max_size=min(most, 3)))
    return {
        "busy": draw(st.lists(spans, max_size=most)),
        "away": draw(st.lists(spans, max_size=1)),
        "travel": draw(st.lists(spans, max_size=1)),
        "booked": draw(st.lists(visits, max_size=most, unique_by=lambda visit: visit.start)),
        "promised": dict.fromkeys(promised, now - draw(st.sampled_from([7, 40])) * MINUTE),
    }
