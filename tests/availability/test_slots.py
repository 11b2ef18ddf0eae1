"""What is offered can be booked and nothing else: a slow, obvious model agrees."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import given
from hypothesis import strategies as st

from server.availability.hours import Hours, Rule, Span, Window
from server.availability.slots import Refusal, Schedule, Terms, offered, refusal

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
ZONES = sorted(name for name in available_timezones() if "/" in name and "Etc" not in name)

minutes_of_day = st.integers(0, 95).map(lambda n: n * 15)
windows = st.builds(Window, minutes_of_day, minutes_of_day)
terms = st.builds(
    Terms,
    length=st.integers(1, 18).map(lambda n: n * 5),
    before=st.sampled_from([0, 0, 5, 30]),
    after=st.sampled_from([0, 0, 10, 45]),
    interval=st.sampled_from([10, 15, 20, 30, 45, 60]),
    offset=st.sampled_from([0, 0, 5, 10]),
    notice=st.sampled_from([0, 0, 30, 600]),
    horizon=st.integers(1, 5),
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
    midnight = datetime(first.year, first.month, first.day, tzinfo=UTC)
    busy = [
        Span(start, start + draw(st.integers(1, 30)) * 5 * MINUTE)
        for start in (
            midnight + draw(st.integers(-144, 720)) * 5 * MINUTE
            for _ in range(draw(st.integers(0, 5)))
        )
    ]
    now = midnight + draw(st.integers(-3000, 1500)) * MINUTE
    hours = Hours(zone, rules, changed)
    return Schedule(hours, draw(terms), busy, first, first + DAY), now


def model(schedule: Schedule, now: datetime) -> list[datetime]:
    """Try every minute of the days, and look at each minute that the visit would take."""
    first = datetime.combine(schedule.first, time(), UTC) - 15 * HOUR
    minutes = [first + n * MINUTE for n in range(78 * 60)]
    free = _open_minutes(schedule) - {
        minute
        for minute in _around(first)
        for busy in schedule.busy
        if busy.start <= minute < busy.end
    }
    return [start for start in minutes if _fits(schedule, start, now, free)]


def _fits(schedule: Schedule, start: datetime, now: datetime, free: set[datetime]) -> bool:
    terms, local = schedule.terms, start.astimezone(schedule.zone)
    today = now.astimezone(schedule.zone).date()
    taken = range(-terms.before, terms.length + terms.after)
    return (
        schedule.first <= local.date() <= schedule.last
        and start > now
        and start - now >= terms.notice * MINUTE
        and (local.date() - today).days <= terms.horizon
        and not local.fold
        and (local.hour * 60 + local.minute - terms.offset) % terms.interval == 0
        and all(start + n * MINUTE in free for n in taken)
    )


def _open_minutes(schedule: Schedule) -> set[datetime]:
    days = [schedule.first + n * DAY for n in range(-3, 5)]
    found: set[datetime] = set()
    for day in days:
        for window in schedule.hours.windows(day):
            last = day if window.end > window.start else day + DAY
            opens = _first_shown(schedule.zone, day, window.start)
            closes = _first_shown(schedule.zone, last, window.end)
            found.update(opens + n * MINUTE for n in range((closes - opens) // MINUTE))
    return found


def _first_shown(zone: ZoneInfo, day: date, minute: int) -> datetime:
    """Watch the clocks from before until they first show the time, or a later one."""
    wanted = datetime.combine(day, time()) + minute * MINUTE
    instant = wanted.replace(tzinfo=UTC) - 15 * HOUR
    while instant.astimezone(zone).replace(tzinfo=None) < wanted:
        instant += MINUTE
    return instant


def _around(first: datetime) -> list[datetime]:
    return [first + n * MINUTE for n in range(-24 * 60, 102 * 60)]


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
    for start in offered(schedule, now):
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
