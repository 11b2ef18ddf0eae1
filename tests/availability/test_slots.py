"""What is offered can be booked and nothing else: a slow, obvious model agrees."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.availability.hours import Hours, Span, Window
from server.availability.slots import Booked, Refusal, Schedule, Terms, offered, refusal
from tests.availability.drawn import Drawn, changes, drawn
from tests.availability.obvious import model, takes

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
VISITS = 6
# What a schedule is made of, each of which is drawn.
PARTS = {
    *("rule", "rule of some days", "override", "extra opening", "past midnight", "closure"),
    *("holiday", "time off", "taken time", "travel", "promise", "change of the clocks"),
    *("buffer", "notice", "offset", "opening grid", "business days", "session", "limit"),
}


@given(drawn())
def test_the_offer_is_what_the_obvious_model_finds(each: Drawn) -> None:
    assert list(offered(each.schedule, each.now)) == model(each)


@given(drawn(), st.integers(-600, 3500))
def test_a_start_is_refused_unless_it_is_offered(each: Drawn, minute: int) -> None:
    schedule, now = each.schedule, each.now
    start = midnight(schedule.first) + minute * MINUTE
    local = start.astimezone(schedule.zone).date()
    if schedule.first <= local <= schedule.last:
        assert (refusal(schedule, start, now) is None) == (start in offered(schedule, now))


@given(drawn())
def test_every_start_that_is_offered_can_be_booked(each: Drawn) -> None:
    for start in offered(each.schedule, each.now):
        assert refusal(each.schedule, start, each.now) is None


@given(drawn(), st.lists(st.integers(0, 500), min_size=VISITS, max_size=VISITS))
def test_what_is_booked_one_after_the_other_never_overlaps(each: Drawn, picks: list[int]) -> None:
    schedule = each.schedule
    made: list[datetime] = []
    for pick in picks:
        free = list(offered(schedule, each.now))
        if free:
            made.append(free[pick % len(free)])
            schedule = booked(schedule, made[-1])
    for start, visits in Counter(made).items():
        assert visits <= schedule.terms.capacity
        for other in {*made} - {start}:
            assert not takes(schedule.terms, start) & takes(schedule.terms, other)
    check_limits(each.schedule, made)


def booked(schedule: Schedule, start: datetime) -> Schedule:
    """Answer the schedule after a booking, as the tables would tell it."""
    shared = schedule.terms.capacity > 1
    before = [visit for visit in schedule.booked if visit.start == start and visit.shared]
    others = [visit for visit in schedule.booked if visit not in before]
    seats = 1 + sum(visit.seats for visit in before)
    visit = Booked(*schedule.terms.visit(start), seats, shared)
    busy = [*schedule.busy, schedule.terms.taken(start)]
    return replace(schedule, busy=busy, booked=[*others, visit])


def check_limits(schedule: Schedule, made: list[datetime]) -> None:
    """Raise when a day has more visits than may be on it."""
    most = schedule.terms.limits.day_visits
    days = Counter(start.astimezone(schedule.zone).date() for start in made)
    for visit in schedule.booked:
        days[visit.start.astimezone(schedule.zone).date()] += visit.seats
    assert all(not most or days[start.astimezone(schedule.zone).date()] <= most for start in made)


@pytest.mark.deep
def test_every_part_and_every_refusal_is_drawn() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=500, derandomize=True, database=None)
    @given(drawn())
    def look(each: Drawn) -> None:
        seen.update(set(parts(each)))
        seen.update({refused.name for start in starts(each) if (refused := why(each, start))})

    look()
    assert set(seen) == PARTS | {refused.name for refused in Refusal}


def starts(each: Drawn) -> Iterator[datetime]:
    """Answer some starts of the two days: each hour, and those about which something is."""
    yield from (midnight(each.schedule.first) + n * 60 * MINUTE for n in range(48))
    yield from (visit.start for visit in each.schedule.booked)
    spans = [*each.schedule.travel, *each.schedule.away]
    yield from (start + n * 5 * MINUTE for start, _ in spans for n in range(12))


def why(each: Drawn, start: datetime) -> Refusal | None:
    return refusal(each.schedule, start, each.now)


def parts(each: Drawn) -> Iterator[str]:
    """Name what a schedule is made of."""
    schedule, terms, hours = each.schedule, each.schedule.terms, each.schedule.hours
    holidays = len(schedule.closed) > len(each.closures)
    around = {schedule.first - DAY, schedule.first, schedule.last}
    windows = [window for day in around for window in hours.windows(day)]
    here = {
        "rule": hours.rules,
        "rule of some days": [rule for rule in hours.rules if rule.valid_from or rule.valid_until],
        "override": hours.overrides,
        "extra opening": hours.extras,
        "past midnight": [window for window in windows if window.end <= window.start],
        "closure": each.closures,
        "holiday": holidays,
        "time off": schedule.away,
        "taken time": schedule.busy,
        "travel": schedule.travel,
        "promise": schedule.promised,
        "change of the clocks": around & {*changes(hours.zone.key, schedule.first.year)},
        "buffer": terms.before or terms.after,
        "notice": terms.notice,
        "offset": terms.offset,
        "opening grid": terms.from_opening,
        "business days": terms.business_days,
        "session": schedule.shared,
        "limit": any(terms.limits),
    }
    yield from (name for name, found in here.items() if found)


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


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
