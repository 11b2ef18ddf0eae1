"""Zones as calendar programs read them, against the zones themselves."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from icalendar import Timezone

from server.calendar.zones import changes, vtimezone

CHANGING = ("America/New_York", "Europe/London", "Australia/Lord_Howe", "Africa/Casablanca")
STEADY = ("Asia/Kolkata", "Asia/Kathmandu", "America/Sao_Paulo")
SINCE, UNTIL = datetime(2026, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)


def offset_as_read(written: Timezone, instant: datetime) -> timedelta:
    """Read the offset of an instant the way RFC 5545 says: the last onset before it decides."""
    onsets = []
    for part in written.subcomponents:
        onset = part["dtstart"].dt - part["tzoffsetfrom"].td
        onsets.append((onset.replace(tzinfo=UTC), part["tzoffsetto"].td))
    return max(pair for pair in onsets if pair[0] <= instant)[1]


def read_back(zone: str, since: datetime = SINCE, until: datetime = UNTIL) -> Timezone:
    read = Timezone.from_ical(vtimezone(ZoneInfo(zone), since, until).to_ical())
    assert isinstance(read, Timezone)
    return read


@pytest.mark.parametrize("zone", CHANGING + STEADY)
def test_every_hour_of_two_years_has_the_offset_of_the_zone(zone: str) -> None:
    written, instant = read_back(zone), SINCE
    while instant < UNTIL:
        expected = instant.astimezone(ZoneInfo(zone)).utcoffset()
        assert offset_as_read(written, instant) == expected, instant
        instant += timedelta(hours=1)


@pytest.mark.parametrize("zone", CHANGING)
def test_offsets_are_right_around_the_minute_of_every_change(zone: str) -> None:
    written = read_back(zone)
    found = [*changes(ZoneInfo(zone), SINCE, UNTIL)]
    assert len(found) == 4
    for change in found:
        for minutes in (-61, -1, 0, 1, 59, 61):
            instant = change + timedelta(minutes=minutes)
            expected = instant.astimezone(ZoneInfo(zone)).utcoffset()
            assert offset_as_read(written, instant) == expected, instant


def test_summer_begins_in_the_time_before_it() -> None:
    summer = read_back("America/New_York").daylight[0]
    assert summer["dtstart"].dt == datetime(2026, 3, 8, 2)  # noqa: DTZ001 - as it is written
    assert summer["tzoffsetto"].td == timedelta(hours=-4)


def test_a_zone_without_changes_is_one_observance() -> None:
    assert len(read_back("Asia/Kathmandu").subcomponents) == 1


@given(
    st.sampled_from(CHANGING + STEADY),
    st.datetimes(datetime(2024, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.integers(0, 400 * 24 * 60),
)
def test_any_instant_between_the_ends_has_the_offset_of_the_zone(
    zone: str, since: datetime, minutes: int
) -> None:
    since = since.replace(second=0, microsecond=0)
    instant = since + timedelta(minutes=minutes)
    written = read_back(zone, since, instant + timedelta(days=1))
    assert offset_as_read(written, instant) == instant.astimezone(ZoneInfo(zone)).utcoffset()
