"""What is offered can be booked and nothing else: a slow, obvious model agrees."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import given
from hypothesis import strategies as st

from server.availability.hours import Hours, Rule, Span, Window
from server.availability.slots import Booked, Limits, Refusal, Schedule, Terms, offered, refusal

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
STEP = 5 * MINUTE
SATURDAY = 5
ZONES = sorted(name for name in available_timezones() if "/" in name and "Etc" not in name)

minutes_of_day = st.integers(0, 95).map(lambda n: n * 15)
windows = st.builds(Window, minutes_of_day, minutes_of_day)
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
    interval=st.sampled_from([10, 15, 20, 30, 45, 60]),
    offset=st.sampled_from([0, 0, 5, 10]),
    notice=st.sampled_from([0, 0, 30, 600]),
    horizon=st.integers(1, 5),
    from_opening=st.booleans(),
    business_days=st.booleans(),
    capacity=st.integers(1, 3),
    limits=st.one_of(st.just(Limits()), limits),
)


@st.composite
def schedules(draw: st.DrawFn) -> tuple[Schedule, datetime]:
    """Draw a schedule of two days anywhere in two years, and a present before or in it."""
    first = date(2026, 1, 1) + draw(st.integers(0, 730)) * DAY
    zone = ZoneInfo(draw(st.sampled_from(ZONES)))
    rules = tuple(
        Rule(draw(st.integers(1, 7)), draw(windows)) for _ in range(draw(st.integers(0, 6)))
    )
    changed = {
        first + draw(st.integers(-1, 2)) * DAY: tuple(draw(st.lists(windows, max_size=2)))
        for _ in range(draw(st.integers(0, 2)))
    }
    extras = tuple(
        (first + draw(st.integers(-1, 2)) * DAY, draw(windows))
        for _ in range(draw(st.sampled_from([0, 0, 1, 2])))
    )
    midnight = datetime(first.year, first.month, first.day, tzinfo=UTC)
    spans = st.builds(
        lambda start, length: Span(midnight + start * STEP, midnight + (start + length) * STEP),
        st.integers(-144, 720),
        st.integers(1, 30),
    )
    visits = st.builds(
        lambda start, seats, shared: Booked(start, start + 25 * MINUTE, seats, shared),
        st.integers(-250, 350).map(lambda quarter: midnight + quarter * 15 * MINUTE),
        st.integers(1, 3),
        st.booleans(),
    )
    now = midnight + draw(st.integers(-3000, 1500)) * MINUTE
    schedule = Schedule(
        Hours(zone, rules, changed, extras),
        draw(terms),
        busy=draw(st.lists(spans, max_size=5)),
        first=first,
        last=first + DAY,
        closed=[
            (first + start * DAY, first + (start + more) * DAY)
            for start, more in draw(
                st.lists(st.tuples(st.integers(-2, 2), st.integers(0, 2)), max_size=2)
            )
            if draw(st.booleans())
        ],
        away=draw(st.lists(spans, max_size=1)),
        travel=draw(st.lists(spans, max_size=1)),
        booked=draw(st.lists(visits, max_size=4, unique_by=lambda visit: visit.start)),
    )
    return schedule, now


def model(schedule: Schedule, now: datetime) -> list[datetime]:
    """Try every minute of the days, and look at each minute that the visit would take."""
    first = datetime.combine(schedule.first, time(), UTC) - 15 * HOUR
    minutes = [first + n * MINUTE for n in range(78 * 60)]
    around = [first + n * MINUTE for n in range(-24 * 60, 102 * 60)]
    windows = _windows(schedule)
    shut = {
        minute
        for minute in around
        for since, until in schedule.closed
        if since <= _clock_day(schedule.zone, minute) <= until
    }
    opened = _inside(around, windows) - shut - _inside(around, schedule.away)
    free = opened - _inside(around, [*schedule.busy, *schedule.travel])
    seats = {each.start: each.seats for each in schedule.booked if each.shared}
    return [
        start
        for start in minutes
        if _is_on_grid(schedule, windows, start)
        and _is_time(schedule, start, now)
        and _takes(schedule.terms, start) <= (opened if start in seats else free)
        and seats.get(start, 0) < (schedule.terms.capacity if start in seats else 1)
        and _keeps_limits(schedule, start, joins=start in seats)
    ]


def _inside(minutes: list[datetime], spans: list[Span]) -> set[datetime]:
    return {each for span in spans for each in minutes if span.start <= each < span.end}


def _clock_day(zone: ZoneInfo, instant: datetime) -> date:
    """Answer the local day; after clocks went back over midnight the new day goes on."""
    return max(instant.astimezone(zone), (instant - HOUR).astimezone(zone)).date()


def _takes(terms: Terms, start: datetime) -> set[datetime]:
    return {start + n * MINUTE for n in range(-terms.before, terms.length + terms.after)}


def _is_time(schedule: Schedule, start: datetime, now: datetime) -> bool:
    terms, local = schedule.terms, start.astimezone(schedule.zone)
    today = now.astimezone(schedule.zone).date()
    ahead = [today + n * DAY for n in range(1, (local.date() - today).days + 1)]
    counted = [day for day in ahead if not terms.business_days or _is_business(schedule, day)]
    beyond = len(counted) > terms.horizon or (
        # a weekend after the last business day is behind the horizon
        len(counted) == terms.horizon and bool(ahead) and ahead[-1] not in counted
    )
    return (
        schedule.first <= local.date() <= schedule.last
        and start > now
        and start - now >= terms.notice * MINUTE
        and not beyond
    )


def _is_business(schedule: Schedule, day: date) -> bool:
    return day.weekday() < SATURDAY and not any(
        since <= day <= until for since, until in schedule.closed
    )


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
        return at.astimezone(schedule.zone).date()

    def week(at: datetime) -> Any:
        return day(at).isocalendar()[:2]

    return most(limits.day_visits, limits.day_minutes, day) and most(
        limits.week_visits, limits.week_minutes, week
    )


def _windows(schedule: Schedule) -> list[Span]:
    days = [schedule.first + n * DAY for n in range(-3, 5)]
    found = []
    for day in days:
        for window in schedule.hours.windows(day):
            last = day if window.end > window.start else day + DAY
            opens = _first_shown(schedule.zone, day, window.start)
            found.append(Span(opens, _first_shown(schedule.zone, last, window.end)))
    return found


def _first_shown(zone: ZoneInfo, day: date, minute: int) -> datetime:
    """Watch the clocks from before until they first show the time, or a later one."""
    wanted = datetime.combine(day, time()) + minute * MINUTE
    instant = wanted.replace(tzinfo=UTC) - 15 * HOUR
    while instant.astimezone(zone).replace(tzinfo=None) < wanted:
        instant += MINUTE
    return instant


@given(schedules())
def test_the_offer_is_what_the_obvious_model_finds(drawn: tuple[Schedule, datetime]) -> None:
    schedule, now = drawn
    assert list(offered(schedule, now)) == model(schedule, now)


@given(schedules(), st.integers(-600, 3500))
def test_a_start_is_refused_unless_it_is_offered(
    drawn: tuple[Schedule, datetime], minute: int
) -> None:
    schedule, now = drawn
    first = schedule.first
    start = datetime(first.year, first.month, first.day, tzinfo=UTC) + minute * MINUTE
    local = start.astimezone(schedule.zone).date()
    if schedule.first <= local <= schedule.last:
        assert (refusal(schedule, start, now) is None) == (start in offered(schedule, now))


@given(schedules())
def test_what_is_offered_never_overlaps_what_is_taken(drawn: tuple[Schedule, datetime]) -> None:
    schedule, now = drawn
    together = {each.start for each in schedule.booked if each.shared}
    for start in set(offered(schedule, now)) - together:
        taken = schedule.terms.taken(start)
        assert not any(busy.start < taken.end and taken.start < busy.end for busy in schedule.busy)


def test_the_rule_that_refuses_is_told() -> None:
    day = date(2026, 6, 1)
    hours = Hours(ZoneInfo("Asia/Kolkata"), (), {day: (Window(540, 1020),)})
    busy = [Span(datetime(2026, 6, 1, 4, 30, tzinfo=UTC), datetime(2026, 6, 1, 5, tzinfo=UTC))]
    schedule = Schedule(hours, Terms(30, 0, 0, 30, 0, 60, 10), busy, day, day)
    now = datetime(2026, 6, 1, 3, 30, tzinfo=UTC)  # nine o'clock

    def why(hour: int, minute: int = 0, days: int = 0) -> Refusal | None:
        local = datetime(2026, 6, 1, hour, minute, tzinfo=schedule.zone) + days * DAY
        return refusal(schedule, local.astimezone(UTC), now)

    assert why(9) is Refusal.PAST
    assert why(9, 30) is Refusal.NOTICE
    assert why(10) is Refusal.BUSY
    assert why(10, 30) is None
    assert why(10, 35) is Refusal.OFF_GRID
    assert why(16, 30) is None
    assert why(17) is Refusal.OUTSIDE_HOURS
    assert why(10, 30, days=11) is Refusal.HORIZON
