"""A time zone as VTIMEZONE: each change of its offset between two instants, by itself.

The library's own derivation writes the beginning of summer in the time after the change, an hour
late; RFC 5545 (3.6.5) wants it in the time before. So only its parts are used.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from icalendar import Timezone, TimezoneDaylight, TimezoneStandard

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


def vtimezone(zone: ZoneInfo, since: datetime, until: datetime) -> Timezone:
    """Write a zone as it is from `since` to `until`, both aware."""
    since = since.astimezone(UTC)
    written = Timezone()
    written.add("tzid", zone.key)
    written.add_component(_observance(zone, since, since))
    for change in changes(zone, since, until.astimezone(UTC)):
        written.add_component(_observance(zone, change - MINUTE, change))
    return written


def changes(zone: ZoneInfo, since: datetime, until: datetime) -> Iterator[datetime]:
    """Yield the instants, to the minute, at which the zone's offset changes, in order."""
    before = since
    while before < until:
        after = min(before + DAY, until)
        if _offset(zone, before) != _offset(zone, after):
            yield _change(zone, before, after)
        before = after


def _change(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """Halve the time around a change until a minute is left, whose end is the change."""
    minutes = (after - before) // MINUTE
    low, high = 0, minutes
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(zone, before + middle * MINUTE) == _offset(zone, before):
            low = middle
        else:
            high = middle
    return before + high * MINUTE


def _observance(
    zone: ZoneInfo, before: datetime, change: datetime
) -> TimezoneDaylight | TimezoneStandard:
    local = change.astimezone(zone)
    written = TimezoneDaylight() if local.dst() else TimezoneStandard()
    written.add("dtstart", (change + _offset(zone, before)).replace(tzinfo=None))
    written.add("tzoffsetfrom", _offset(zone, before))
    written.add("tzoffsetto", _offset(zone, change))
    written.add("tzname", local.tzname())
    return written


def _offset(zone: ZoneInfo, instant: datetime) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta()
