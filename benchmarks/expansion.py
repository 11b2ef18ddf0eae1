"""Ninety days of one doctor's weekly hours, by dateutil and by the engine: no database."""

from collections.abc import Callable, Sized
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import chain
from zoneinfo import ZoneInfo

from dateutil.rrule import WEEKLY, rrule, rruleset

from benchmarks.measure import MICROS, repeatedly, table
from server.availability import hours, minutes
from server.availability.hours import Hours, Rule, Span, Window
from server.availability.slots import Schedule, Terms, offered

RUNS = 300
DAYS = 90
SLOTS = 2352
MONDAY = date(2026, 9, 7)
LAST = MONDAY + timedelta(days=DAYS - 1)
NOW = datetime(2026, 9, 1, tzinfo=UTC)
QUARTER = 15
ZONES = ("Asia/Kolkata", "America/New_York", "Europe/London", "Australia/Lord_Howe")
TERMS = Terms(length=15, before=0, after=0, interval=QUARTER, offset=0, notice=0, horizon=366)
# 10 to 13 and 16 to 20 o'clock from Monday to Saturday, 10 to half past 13 on Sunday
WEEK = (
    *(Rule(day, window) for day in range(1, 7) for window in (Window(600, 780), Window(960, 1200))),
    Rule(7, Window(600, 810)),
)


def by_dateutil() -> list[datetime]:
    """Expand the same week with rrule: naive local times, no zone."""
    until = datetime.combine(LAST, datetime.max.time())
    found = rruleset()
    for weekdays, in_hours, in_minutes in (
        (range(6), (10, 11, 12, 16, 17, 18, 19), (0, 15, 30, 45)),
        ((6,), (10, 11, 12), (0, 15, 30, 45)),
        ((6,), (13,), (0, 15)),
    ):
        found.rrule(
            rrule(
                WEEKLY,
                dtstart=datetime.combine(MONDAY, datetime.min.time()),
                until=until,
                byweekday=weekdays,
                byhour=in_hours,
                byminute=in_minutes,
                bysecond=0,
            )
        )
    return list(found)


def by_engine(zone: ZoneInfo) -> list[int]:
    """Expand it as the engine does: instants, in minutes since 1970."""
    clocks = minutes.stretches(zone, MONDAY, LAST)
    opened = hours.opened(Hours(zone, WEEK), clocks, MONDAY, LAST)
    return list(chain.from_iterable(minutes.grid(clocks, opened, QUARTER, 0)))


def whole_engine(zone: ZoneInfo, busy: list[Span]) -> list[datetime]:
    """Find what can be booked: hours, buffers, taken time, notice, horizon; as datetimes."""
    return list(offered(Schedule(Hours(zone, WEEK), TERMS, busy, MONDAY, LAST), NOW))


def taken(zone: ZoneInfo) -> list[Span]:
    """Take every eighth of the starts."""
    starts = list(minutes.instants(by_engine(zone)))[::8]
    return [Span(start, start + timedelta(minutes=QUARTER)) for start in starts]


def run() -> str:
    new_york = ZoneInfo("America/New_York")
    busy = taken(new_york)
    rows = [
        _row("dateutil's rrule, local times without a zone", by_dateutil),
        *(_row(f"rules to instants, {name}", partial(by_engine, ZoneInfo(name))) for name in ZONES),
        _row("New York as datetimes", lambda: list(minutes.instants(by_engine(new_york)))),
        _row("whole engine, nothing taken", lambda: whole_engine(new_york, [])),
        _row(f"whole engine, {len(busy)} visits taken", lambda: whole_engine(new_york, busy)),
    ]
    head = ("one doctor, 90 days", "starts", "CPU µs", "p99", "wall µs", "p99", "times dateutil")
    peer = rows[0][2]
    return table(
        f"Expanding weekly hours ({RUNS} runs, medians)",
        head,
        [(*row, peer / row[2]) for row in rows],
    )


Row = tuple[str, int, float, float, float, float]


def _row(name: str, action: Callable[[], Sized]) -> Row:
    times = repeatedly(action, RUNS)
    return (
        name,
        len(action()),
        times.median_cpu * MICROS,
        times.p99_cpu * MICROS,
        times.median * MICROS,
        times.p99 * MICROS,
    )
