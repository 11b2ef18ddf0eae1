"""Wall clocks and instants, on the days that break naive code."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from zoneinfo import ZoneInfo

import pytest

from server.availability import minutes
from server.availability.hours import (
    Hours,
    Rule,
    Span,
    Window,
    instant,
    on_grid,
    spans,
)


def at(zone: str, text: str, fold: int = 0) -> datetime:
    """Read a local time such as `2026-03-29 02:30`."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


def starts(zone: str, day: date, window: Window, interval: int = 30, offset: int = 0) -> list[str]:
    """Answer the local starting times of one window on one day, with their UTC offsets."""
    hours = Hours(ZoneInfo(zone), (), {day: (window,)})
    found = spans(hours, day, day)
    return [
        start.astimezone(hours.zone).strftime("%H:%M%z")
        for span in found
        for start in grid(hours.zone, span, interval, offset)
    ]


def grid(zone: ZoneInfo, span: Span, interval: int, offset: int) -> Iterator[datetime]:
    """Yield the instants of the grid in one span."""
    clocks = minutes.stretches(zone, span.start.date(), span.end.date())
    within = [(minutes.floor(span.start), minutes.ceil(span.end))]
    yield from minutes.instants(chain.from_iterable(minutes.grid(clocks, within, interval, offset)))


def w(start: str, end: str) -> Window:
    """Read a window such as 09:00 to 17:00."""
    minutes = [int(text[:2]) * 60 + int(text[3:]) for text in (start, end)]
    return Window(*minutes)


def test_new_york_skips_the_hour_that_does_not_exist() -> None:
    assert starts("America/New_York", date(2026, 3, 8), w("01:00", "04:00")) == [
        "01:00-0500",
        "01:30-0500",
        "03:00-0400",
        "03:30-0400",
    ]


def test_new_york_offers_the_hour_that_comes_twice_once() -> None:
    assert starts("America/New_York", date(2026, 11, 1), w("00:30", "02:30")) == [
        "00:30-0400",
        "01:00-0400",
        "01:30-0400",
        "02:00-0500",
    ]


def test_london_keeps_nine_o_clock_over_both_changes() -> None:
    for day, offset in (
        (date(2026, 3, 28), "+0000"),
        (date(2026, 3, 29), "+0100"),
        (date(2026, 10, 24), "+0100"),
        (date(2026, 10, 25), "+0000"),
    ):
        assert starts("Europe/London", day, w("09:00", "10:00")) == [
            f"09:00{offset}",
            f"09:30{offset}",
        ]


def test_london_skips_the_hour_that_does_not_exist_and_offers_the_double_one_once() -> None:
    assert starts("Europe/London", date(2026, 3, 29), w("00:30", "03:00")) == [
        "00:30+0000",
        "02:00+0100",
        "02:30+0100",
    ]
    assert starts("Europe/London", date(2026, 10, 25), w("00:30", "02:30")) == [
        "00:30+0100",
        "01:00+0100",
        "01:30+0100",
        "02:00+0000",
    ]


def test_a_window_that_starts_in_a_gap_begins_at_the_first_instant_there_is() -> None:
    hours = Hours(ZoneInfo("Europe/London"), (), {date(2026, 3, 29): (w("01:30", "03:00"),)})
    (span,) = spans(hours, date(2026, 3, 29), date(2026, 3, 29))
    assert span == Span(at("UTC", "2026-03-29 01:00"), at("UTC", "2026-03-29 02:00"))


def test_kolkata_s_grid_is_on_the_local_hour() -> None:
    assert starts("Asia/Kolkata", date(2026, 6, 1), w("07:30", "09:30"), 60) == [
        "08:00+0530",
        "09:00+0530",
    ]


@pytest.mark.parametrize(
    ("zone", "offset"),
    [("Asia/Kolkata", "+0530"), ("Asia/Kathmandu", "+0545"), ("America/Sao_Paulo", "-0300")],
)
def test_kolkata_kathmandu_and_sao_paulo_have_neither_gap_nor_fold(zone: str, offset: str) -> None:
    for first in (date(2026, 3, 1), date(2026, 10, 1)):
        for n in range(45):
            found = starts(zone, first + timedelta(days=n), w("00:00", "00:00"), 60)
            assert found == [f"{hour:02}:00{offset}" for hour in range(24)]


def test_kathmandu_s_quarter_hour_zone_keeps_the_local_grid() -> None:
    assert starts("Asia/Kathmandu", date(2026, 6, 1), w("10:00", "11:00")) == [
        "10:00+0545",
        "10:30+0545",
    ]


def test_lord_howe_changes_by_half_an_hour() -> None:
    spring, autumn = date(2026, 10, 4), date(2026, 4, 5)
    assert starts("Australia/Lord_Howe", spring, w("01:30", "03:00")) == [
        "01:30+1030",
        "02:30+1100",
    ]
    assert starts("Australia/Lord_Howe", autumn, w("01:00", "02:30")) == [
        "01:00+1100",
        "01:30+1100",
        "02:00+1030",
    ]


def test_casablanca_goes_back_for_ramadan_and_forward_after_it() -> None:
    assert starts("Africa/Casablanca", date(2026, 2, 15), w("01:30", "04:00")) == [
        "01:30+0100",
        "02:00+0100",
        "02:30+0100",
        "03:00+0000",
        "03:30+0000",
    ]
    assert starts("Africa/Casablanca", date(2026, 3, 22), w("01:30", "04:00")) == [
        "01:30+0000",
        "03:00+0100",
        "03:30+0100",
    ]


def test_sao_paulo_has_no_summer_time_any_more() -> None:
    assert starts("America/Sao_Paulo", date(2018, 11, 20), w("09:00", "09:30")) == ["09:00-0200"]
    assert starts("America/Sao_Paulo", date(2026, 11, 20), w("09:00", "09:30")) == ["09:00-0300"]


def test_sao_paulo_offered_the_last_hour_of_its_summer_once() -> None:
    """At midnight the clocks went back to eleven: the day before had 25 hours."""
    assert starts("America/Sao_Paulo", date(2018, 2, 17), w("22:30", "00:30")) == [
        "22:30-0200",
        "23:00-0200",
        "23:30-0200",
        "00:00-0300",
    ]


def test_a_midnight_that_does_not_exist_is_no_trouble() -> None:
    """In Sao Paulo the clocks used to go forward at midnight."""
    assert starts("America/Sao_Paulo", date(2018, 11, 4), w("00:00", "02:00")) == [
        "01:00-0200",
        "01:30-0200",
    ]


def test_a_day_that_a_zone_left_out_has_no_times() -> None:
    """Samoa went over the date line: there was no 30 December 2011."""
    assert starts("Pacific/Apia", date(2011, 12, 30), w("09:00", "17:00")) == []


def test_a_window_past_midnight_belongs_to_the_day_it_starts() -> None:
    zone = ZoneInfo("Asia/Kolkata")
    hours = Hours(zone, (Rule(1, w("22:00", "02:00")),))
    monday = date(2026, 6, 1)
    (span,) = spans(hours, monday, monday + timedelta(days=6))
    assert span == Span(
        at("Asia/Kolkata", "2026-06-01 22:00"), at("Asia/Kolkata", "2026-06-02 02:00")
    )


@pytest.mark.parametrize(
    ("zone", "day", "window", "expected"),
    [
        ("America/New_York", date(2026, 3, 7), ("23:30", "03:30"),
         ["23:30-0500", "00:00-0500", "00:30-0500", "01:00-0500", "01:30-0500", "03:00-0400"]),
        ("America/New_York", date(2026, 10, 31), ("23:30", "02:30"),
         ["23:30-0400", "00:00-0400", "00:30-0400", "01:00-0400", "01:30-0400", "02:00-0500"]),
        ("Australia/Lord_Howe", date(2026, 10, 3), ("23:30", "03:00"),
         ["23:30+1030", "00:00+1030", "00:30+1030", "01:00+1030", "01:30+1030", "02:30+1100"]),
        ("Australia/Lord_Howe", date(2026, 4, 4), ("23:30", "02:30"),
         ["23:30+1100", "00:00+1100", "00:30+1100", "01:00+1100", "01:30+1100", "02:00+1030"]),
    ],
)  # fmt: skip
def test_a_window_past_midnight_meets_the_change_of_the_clocks(
    zone: str, day: date, window: tuple[str, str], expected: list[str]
) -> None:
    assert starts(zone, day, w(*window)) == expected


def test_equal_ends_are_the_whole_day_in_real_hours() -> None:
    hours = Hours(ZoneInfo("America/New_York"), (), {date(2026, 3, 8): (w("00:00", "00:00"),)})
    (span,) = spans(hours, date(2026, 3, 8), date(2026, 3, 8))
    assert span.end - span.start == timedelta(hours=23)


def test_windows_that_touch_across_midnight_are_one() -> None:
    rules = (Rule(1, w("20:00", "00:00")), Rule(2, w("00:00", "04:00")))
    monday = date(2026, 6, 1)
    found = spans(Hours(ZoneInfo("Asia/Kolkata"), rules), monday, monday + timedelta(days=1))
    assert [span.end - span.start for span in found] == [timedelta(hours=8)]


def test_an_override_replaces_its_day_and_leaves_what_runs_in_from_the_day_before() -> None:
    monday, tuesday = date(2026, 6, 1), date(2026, 6, 2)
    rules = (Rule(1, w("22:00", "02:00")), Rule(2, w("09:00", "17:00")))
    hours = Hours(ZoneInfo("Asia/Kolkata"), rules, {tuesday: ()})
    assert spans(hours, monday, tuesday) == [
        Span(at("Asia/Kolkata", "2026-06-01 22:00"), at("Asia/Kolkata", "2026-06-02 02:00"))
    ]


def test_a_rule_holds_from_its_first_to_its_last_day() -> None:
    rule = Rule(1, w("09:00", "10:00"), date(2026, 6, 8), date(2026, 6, 15))
    mondays = [date(2026, 6, 1) + timedelta(weeks=n) for n in range(4)]
    assert [rule.holds(day) for day in mondays] == [False, True, True, False]


@pytest.mark.parametrize(
    ("interval", "offset", "expected"),
    [
        (20, 0, ["09:00", "09:20", "09:40"]),
        (30, 10, ["09:10", "09:40"]),
        (45, 0, ["09:00", "09:45"]),
        (60, 0, ["09:00"]),
    ],
)
def test_the_grid_has_an_interval_and_an_offset(
    interval: int, offset: int, expected: list[str]
) -> None:
    found = starts("UTC", date(2026, 6, 1), w("08:55", "10:00"), interval, offset)
    assert [start[:5] for start in found] == expected


def test_what_the_grid_yields_is_on_it_and_nothing_between_is() -> None:
    zone = ZoneInfo("America/New_York")
    span = Span(
        at("America/New_York", "2026-10-31 12:00"), at("America/New_York", "2026-11-02 12:00")
    )
    yielded = set(grid(zone, span, 30, 0))
    minutes = int((span.end - span.start).total_seconds()) // 60
    every = [span.start + timedelta(minutes=n) for n in range(minutes)]
    assert {start for start in every if on_grid(zone, start, 30, 0)} == yielded


def test_merging_joins_what_touches_or_overlaps_and_forgets_what_is_empty() -> None:
    unordered = [(5, 6), (0, 2), (1, 3), (3, 4), (5, 7), (9, 9)]
    assert minutes.merged(unordered) == [(0, 4), (5, 7)]


def test_an_instant_in_a_gap_is_the_one_after_the_jump() -> None:
    zone = ZoneInfo("Australia/Lord_Howe")
    assert instant(zone, datetime(2026, 10, 4, 2, 15)) == at("UTC", "2026-10-03 15:30")  # noqa: DTZ001
