"""The page on availability: what it names is there, and its examples come out."""

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from server.availability.hours import Hours, Rule, Span, Window
from server.availability.slots import Refusal, Schedule, Terms, offered, refusal

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "availability.md").read_text()
RECORD = (DOCS / "decisions/0008-minutes.md").read_text()
PROTO = "\n".join(path.read_text() for path in (DOCS.parent / "proto/carelane").rglob("*.proto"))
KOCHI = ZoneInfo("Asia/Kolkata")
MONDAY = date(2026, 6, 1)
MORNING = Window(9 * 60, 13 * 60)
WEEK = tuple(Rule(day, MORNING) for day in range(1, 6))
TERMS: dict[str, Any] = {
    "length": 30,
    "before": 0,
    "after": 0,
    "interval": 30,
    "offset": 0,
    "notice": 0,
    "horizon": 60,
}


def at(hour: int, minute: int = 0, day: date = MONDAY) -> datetime:
    local = datetime(day.year, day.month, day.day, hour, minute, tzinfo=KOCHI)
    return local.astimezone(UTC)


DAWN = at(0)


def w(start: str, end: str) -> Window:
    clock = [int(text[:2]) * 60 + int(text[3:]) for text in (start, end)]
    return Window(*clock)


def starts(
    *windows: Window, day: date = MONDAY, now: datetime = DAWN, more: Any = None, **terms: Any
) -> list[str]:
    """Answer the starts on a day as the wall clock shows them."""
    hours = Hours(KOCHI, tuple(Rule(day.isoweekday(), each) for each in windows) or WEEK)
    schedule = Schedule(hours, Terms(**TERMS | terms), (), day, day, **more or {})
    return [f"{start.astimezone(KOCHI):%H:%M}" for start in offered(schedule, now)]


def test_every_call_it_names_is_in_the_contract() -> None:
    named = set(re.findall(r"`([A-Z][A-Za-z]+)`", PAGE))
    assert len(named) > 20
    assert {name for name in named if f"rpc {name}(" not in PROTO} == set()


def test_every_field_it_names_is_in_the_contract() -> None:
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)*)`", PAGE)) - {"refusal", "visit"}
    assert len(named) > 10
    assert {name for name in named if f" {name} = " not in PROTO} == set()


def test_every_rule_that_refuses_is_explained() -> None:
    assert [why.name for why in Refusal if why.name not in PAGE] == []


def test_every_page_and_file_it_names_is_there() -> None:
    links = [DOCS / link for link in re.findall(r"\]\(([\w./-]+\.md)\)", PAGE)]
    files = re.findall(r"`((?:server|tests)/[\w./]+)`", PAGE + RECORD)
    assert links
    assert len(files) > 3
    assert [path for path in (*links, *map(DOCS.parent.joinpath, files)) if not path.exists()] == []


@pytest.mark.parametrize(
    ("windows", "terms", "expected"),
    [
        ((w("07:30", "09:30"),), {"length": 60, "interval": 60}, ["08:00"]),
        (
            (w("07:30", "09:30"),),
            {"length": 60, "interval": 60, "from_opening": True},
            ["07:30", "08:30"],
        ),
        (
            (w("09:00", "11:00"), w("11:00", "13:00")),
            {"length": 120, "interval": 60},
            ["09:00", "10:00", "11:00"],
        ),
    ],
)
def test_the_examples_of_grids(
    windows: tuple[Window, ...], terms: dict[str, Any], expected: list[str]
) -> None:
    assert starts(*windows, **terms) == expected


def test_the_example_of_notice() -> None:
    assert starts(now=at(10, 5), notice=120) == ["12:30"]


def test_the_examples_of_horizons() -> None:
    for day, terms, last in (
        (MONDAY, {"horizon": 10}, date(2026, 6, 11)),
        (date(2026, 6, 5), {"horizon": 1, "business_days": True}, date(2026, 6, 8)),
    ):
        now = at(8, day=day)
        assert starts(day=last, now=now, **terms)
        assert not starts(day=last + timedelta(days=1), now=now, **terms)
    monday = {"closed": [(date(2026, 6, 8), date(2026, 6, 8))]}
    asked: dict[str, Any] = {"now": at(8, day=date(2026, 6, 5)), "more": monday}
    asked |= {"horizon": 1, "business_days": True}
    assert starts(day=date(2026, 6, 9), **asked)
    assert not starts(day=date(2026, 6, 10), **asked)


def test_the_example_of_time_off() -> None:
    away = [Span(at(11), at(12))]
    assert starts(more={"away": away})[2:6] == ["10:00", "10:30", "12:00", "12:30"]


def test_the_example_of_travel() -> None:
    on_the_way = [Span(at(10) - timedelta(minutes=45), at(10, 30) + timedelta(minutes=45))]
    schedule = Schedule(Hours(KOCHI, WEEK), Terms(**TERMS), (), MONDAY, MONDAY, travel=on_the_way)
    assert refusal(schedule, at(11), DAWN) is Refusal.TRAVEL
    assert refusal(schedule, at(11, 30), DAWN) is None


def test_the_example_of_buffers() -> None:
    terms = Terms(**TERMS | {"before": 5, "after": 10, "interval": 5})
    booked = terms.taken(at(10))
    schedule = Schedule(Hours(KOCHI, WEEK), terms, [booked], MONDAY, MONDAY)
    late = [start for start in offered(schedule, DAWN) if start > at(10)]
    assert late[0] == at(10, 45)
