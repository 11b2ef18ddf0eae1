"""A strict reader of iCalendar, written from RFC 5545 and 5546 and from nothing else.

It knows the components and properties that visits need, and refuses every other.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

LINE = re.compile(r'([A-Z0-9-]+)((?:;[A-Z0-9-]+=(?:"[^"\x00-\x1f]*"|[^";:,\x00-\x1f]*))*):(.*)')
PARAMETER = re.compile(r';([A-Z0-9-]+)=("[^"]*"|[^;]*)')
TEXT = r"(?:[^\\;,\x00-\x1f]|\\[\\;,nN])*"
LOCAL, UTC = r"\d{8}T\d{6}", r"\d{8}T\d{6}Z"
VALUES = {
    **dict.fromkeys(("PRODID", "UID", "SUMMARY", "LOCATION", "TZID", "TZNAME", "NAME"), TEXT),
    **dict.fromkeys(("DTSTAMP", "CREATED", "LAST-MODIFIED"), UTC),
    **dict.fromkeys(("DTSTART", "DTEND"), LOCAL),
    **dict.fromkeys(("TZOFFSETFROM", "TZOFFSETTO"), r"[+-]\d{4}"),
    **dict.fromkeys(("ORGANIZER", "ATTENDEE"), r"urn:uuid:[0-9a-f-]{36}"),
    "VERSION": r"2\.0",
    "CALSCALE": "GREGORIAN",
    "METHOD": "REQUEST|CANCEL|PUBLISH",
    "SEQUENCE": r"\d+",
    "STATUS": "TENTATIVE|CONFIRMED|CANCELLED",
    "CLASS": "PRIVATE",
    "TRANSP": "TRANSPARENT",
    "REFRESH-INTERVAL": "P.+",
    "X-WR-CALNAME": TEXT,
    "X-PUBLISHED-TTL": "P.+",
}
# Of each component: what must be there once, and what may be there once; and what it may hold.
PROPERTIES = {
    "VCALENDAR": (
        {"PRODID", "VERSION", "METHOD"},
        {"CALSCALE", "NAME", "X-WR-CALNAME", "REFRESH-INTERVAL", "X-PUBLISHED-TTL"},
    ),
    "VTIMEZONE": ({"TZID"}, set()),
    "STANDARD": ({"DTSTART", "TZOFFSETFROM", "TZOFFSETTO"}, {"TZNAME"}),
    "DAYLIGHT": ({"DTSTART", "TZOFFSETFROM", "TZOFFSETTO"}, {"TZNAME"}),
    "VEVENT": (
        {"UID", "DTSTAMP", "DTSTART", "DTEND", "SEQUENCE", "SUMMARY", "ORGANIZER"},
        {"CREATED", "LAST-MODIFIED", "LOCATION", "STATUS", "CLASS", "TRANSP", "ATTENDEE"},
    ),
}
PARTS = {"VCALENDAR": {"VTIMEZONE", "VEVENT"}, "VTIMEZONE": {"STANDARD", "DAYLIGHT"}}


class Property(NamedTuple):
    """A content line that was read: parameters without quotes, and the value as it is written."""

    name: str
    parameters: dict[str, str]
    value: str

    def text(self) -> str:
        """Answer the value with its escapes taken away."""
        return re.sub(r"\\(.)", lambda found: "\n" if found[1] in "nN" else found[1], self.value)

    def instant(self) -> datetime:
        """Answer a local time, as it is on the wall."""
        return datetime.strptime(self.value, "%Y%m%dT%H%M%S")  # noqa: DTZ007 - a wall clock's


@dataclass
class Component:
    """A component with its properties by name, and what is in it."""

    kind: str
    properties: dict[str, Property] = field(default_factory=dict)
    parts: list["Component"] = field(default_factory=list)

    def of_kind(self, *kinds: str) -> list["Component"]:
        return [part for part in self.parts if part.kind in kinds]


def read(text: str) -> Component:
    """Read a calendar; AssertionError, with what is wrong, for one that is none."""
    root = Component("")
    open_ones = [root]
    for line in _unfolded(text):
        found = LINE.fullmatch(line)
        assert found, f"no content line: {line}"
        name, value = found[1], found[3]
        if name == "BEGIN":
            open_ones.append(Component(value))
            open_ones[-2].parts.append(open_ones[-1])
        elif name == "END":
            _check(done := open_ones.pop())
            assert value == done.kind, f"{done.kind} ends as {value}"
        else:
            parameters = {each[1]: each[2].strip('"') for each in PARAMETER.finditer(found[2])}
            assert name not in open_ones[-1].properties, f"{name} twice"
            open_ones[-1].properties[name] = Property(name, parameters, value)
    assert open_ones == [root], "something does not end"
    (calendar,) = root.parts
    assert calendar.kind == "VCALENDAR"
    _check_whole(calendar)
    return calendar


def _unfolded(text: str) -> list[str]:
    raw = text.encode()
    assert raw.endswith(b"\r\n"), "the last line does not end"
    lines = raw.removesuffix(b"\r\n").split(b"\r\n")
    for line in lines:
        assert 0 < len(line) <= 75, f"{len(line)} octets in a line"
        assert b"\r" not in line
        assert b"\n" not in line
        line.decode()
    return re.sub(rb"\r\n[ \t]", b"", b"\r\n".join(lines)).decode().split("\r\n")


def _check(component: Component) -> None:
    needed, allowed = PROPERTIES[component.kind]
    names = set(component.properties)
    assert needed <= names <= needed | allowed, f"{component.kind} has {names ^ needed}"
    for name, found in component.properties.items():
        assert re.fullmatch(VALUES[name], found.value), f"{name} is {found.value}"
    kinds = {part.kind for part in component.parts}
    assert kinds <= PARTS.get(component.kind, set()), f"{component.kind} holds {kinds}"
    assert kinds or component.kind not in PARTS, f"{component.kind} holds nothing"


def _check_whole(calendar: Component) -> None:
    """Check what is between components: zones, uniqueness, and what the method asks for."""
    method, events = calendar.properties["METHOD"].value, calendar.of_kind("VEVENT")
    zones = [zone.properties["TZID"].text() for zone in calendar.of_kind("VTIMEZONE")]
    assert max(Counter(zones).values()) == 1
    times = [each.properties[name] for each in events for name in ("DTSTART", "DTEND")]
    assert {time.parameters["TZID"] for time in times} in (set(zones), set())
    uids = Counter(event.properties["UID"].value for event in events)
    assert set(uids.values()) <= {1}
    for event in events:
        assert event.properties["DTSTART"].instant() < event.properties["DTEND"].instant()
        assert ("ATTENDEE" in event.properties) == (method != "PUBLISH")
        assert method != "CANCEL" or event.properties["STATUS"].value == "CANCELLED"
    assert method == "PUBLISH" or len(events) == 1
