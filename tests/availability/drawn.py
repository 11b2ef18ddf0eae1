"""Schedules drawn at random: every rule, any zone, any two years, near changes of the clocks."""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import strategies as st

from server.availability import holidays
from server.availability.holidays import Kept
from server.availability.hours import Hours, Rule, Span, Window
from server.availability.slots import Booked, Limits, Schedule, Terms

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
STEP = 5 * MINUTE
ZONES = sorted(available_timezones())
YEARS = st.integers(1980, 2090)
NOT_KEPT = Kept(observed=False, country_code="US", subdivision="")


class Drawn(NamedTuple):
    """A schedule with the present, and what its closed days were made of."""

    schedule: Schedule
    now: datetime
    closures: tuple[tuple[date, date], ...]
    kept: Kept


minutes_of_day = st.integers(0, 95).map(lambda n: n * 15)
windows = st.one_of(st.just(Window(0, 0)), st.builds(Window, minutes_of_day, minutes_of_day))
few = st.sampled_from([None, None, None, 1, 2])
limits = st.builds(
    Limits,
    day_visits=few,
    day_minutes=st.sampled_from([None, None, 60, 120]),
    week_visits=few,
    week_minutes=st.sampled_from([None, None, 90, 240]),
)
terms = st.builds(
    Terms,
    length=st.integers(1, 18).map(lambda n: n * 5),
    before=st.sampled_from([0, 0, 5, 30]),
    after=st.sampled_from([0, 0, 10, 45]),
    interval=st.sampled_from([10, 15, 20, 30, 45, 50, 60]),
    offset=st.sampled_from([0, 0, 5, 10]),
    notice=st.sampled_from([0, 0, 30, 600]),
    horizon=st.integers(0, 5),
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
def first_days(draw: st.DrawFn, zone: str, kept: Kept) -> date:
    """Draw a day of two years: any, or about a change of the clocks, or about a holiday."""
    year = draw(YEARS)
    kind = draw(st.sampled_from(["any", "change", "change", "holiday"]))
    near = {
        "any": [],
        "change": changes(zone, year),
        "holiday": [each.day for each in holidays.of_year(kept.country_code, "", year)],
    }[kind]
    if near:
        return draw(st.sampled_from(near)) - draw(st.integers(0, 1)) * DAY
    return date(year, 1, 1) + draw(st.integers(0, 730)) * DAY


@st.composite
def hours_around(draw: st.DrawFn, zone: str, first: date) -> Hours:
    """Draw rules, some of which hold for some days only, overrides and extra openings."""
    near = st.integers(-1, 2).map(lambda n: first + n * DAY)
    weekdays = st.one_of(st.integers(1, 7), st.just(first.isoweekday()))
    bound = st.one_of(st.none(), st.none(), near)
    rules = tuple(
        Rule(draw(weekdays), draw(windows), draw(bound), draw(bound))
        for _ in range(draw(st.integers(0, 6)))
    )
    changed = {
        draw(near): tuple(draw(st.lists(windows, max_size=2)))
        for _ in range(draw(st.integers(0, 2)))
    }
    extras = tuple((draw(near), draw(windows)) for _ in range(draw(st.sampled_from([0, 0, 1, 2]))))
    return Hours(ZoneInfo(zone), rules, changed, extras)


@st.composite
def drawn(draw: st.DrawFn) -> Drawn:
    """Draw a schedule of two days, and a present before or in it."""
    zone, kept = draw(st.sampled_from(ZONES)), draw(st.one_of(st.just(NOT_KEPT), keeping))
    first = draw(first_days(zone, kept))
    midnight = datetime(first.year, first.month, first.day, tzinfo=UTC)
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
    some = st.lists(st.tuples(st.integers(-4, 2), st.integers(0, 2)), max_size=2)
    closures = tuple(
        (first + start * DAY, first + (start + more) * DAY)
        for start, more in draw(some)
        if draw(st.booleans())
    )
    now = midnight + draw(st.integers(-3000, 1500)) * MINUTE
    held = st.integers(0, 200).map(lambda quarter: midnight + quarter * 15 * MINUTE)
    public = holidays.closed_days(kept, first - 9 * DAY, first + 9 * DAY)
    schedule = Schedule(
        draw(hours_around(zone, first)),
        draw(terms),
        busy=draw(st.lists(spans, max_size=5)),
        first=first,
        last=first + DAY,
        closed=[*closures, *((day, day) for day in public)],
        away=draw(st.lists(spans, max_size=2)),
        travel=draw(st.lists(spans, max_size=1)),
        booked=draw(st.lists(visits, max_size=4, unique_by=lambda visit: visit.start)),
        promised=dict.fromkeys(draw(st.lists(held, max_size=1)), now - 7 * MINUTE),
    )
    return Drawn(schedule, now, closures, kept)
