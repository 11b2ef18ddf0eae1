"""Visits as iCalendar (RFC 5545, and 5546 for what is sent about one visit)."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
from icalendar import Calendar, Event, vCalAddress, vText

from server.calendar.zones import DAY, vtimezone

PRODUCT = "-//Carelane//Carelane//EN"
REFRESH = timedelta(hours=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
STATUSES = {"pending_payment": "TENTATIVE", "cancelled": "CANCELLED"}

Visit = Mapping[str, Any] | asyncpg.Record


def of_visit(visit: Visit) -> str:
    """Write one visit as an invitation, or as its withdrawal."""
    event = _event(visit, _doctor(visit))
    patient = _address(visit["patient_id"], visit["patient_name"] or "")
    patient.params["PARTSTAT"] = vText("ACCEPTED")
    event.add("attendee", patient)
    method = "CANCEL" if visit["status"] == "cancelled" else "REQUEST"
    return _written(_calendar(method), [visit], [event])


def of_patient(visits: Sequence[Visit]) -> str:
    """Write the visits of an account's patients as a feed."""
    return _feed(visits, [_event(visit, _doctor(visit)) for visit in visits])


def of_doctor(visits: Sequence[Visit]) -> str:
    """Write the visits that a doctor treats as a feed; whoever comes is not named in full."""
    return _feed(visits, [_event(visit, _short(visit["patient_name"] or "")) for visit in visits])


def _feed(visits: Sequence[Visit], events: Sequence[Event]) -> str:
    calendar = _calendar("PUBLISH")
    calendar.add("name", "Carelane")
    calendar.add("x-wr-calname", "Carelane")
    calendar.add("refresh-interval", REFRESH, parameters={"VALUE": "DURATION"})
    calendar.add("x-published-ttl", "PT1H")
    return _written(calendar, visits, events)


def _calendar(method: str) -> Calendar:
    calendar = Calendar()
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("calscale", "GREGORIAN")
    calendar.add("method", method)
    return calendar


def _written(calendar: Calendar, visits: Sequence[Visit], events: Sequence[Event]) -> str:
    """Put zones and events into a calendar; a zone reaches as far as the visits in it.

    One without visits has a zone all the same, since a calendar must hold something.
    """
    for name in sorted({visit["time_zone"] for visit in visits}):
        here = [visit for visit in visits if visit["time_zone"] == name]
        since = min(visit["start_time"] for visit in here) - DAY
        until = max(visit["end_time"] for visit in here) + DAY
        calendar.add_component(vtimezone(ZoneInfo(name), since, until))
    if not visits:
        calendar.add_component(vtimezone(ZoneInfo("UTC"), EPOCH, EPOCH))
    for event in events:
        calendar.add_component(event)
    written: bytes = calendar.to_ical()
    return written.decode()


def _event(visit: Visit, other: str) -> Event:
    zone = ZoneInfo(visit["time_zone"])
    event = Event()
    event.add("uid", f"{visit['appointment_id']}@carelane")
    event.add("sequence", visit["revision"] - 1)
    event.add("dtstamp", visit["update_time"])
    event.add("created", visit["create_time"])
    event.add("last-modified", visit["update_time"])
    event.add("dtstart", visit["start_time"].astimezone(zone))
    event.add("dtend", visit["end_time"].astimezone(zone))
    summary = f"{visit['visit_type_name']}: {other}" if other else visit["visit_type_name"]
    event.add("summary", _plain(summary))
    event.add("location", _plain(f"{visit['clinic_name']}, {visit['clinic_address']}"))
    event.add("status", STATUSES.get(visit["status"], "CONFIRMED"))
    event.add("class", "PRIVATE")
    event.add("organizer", _address(visit["clinic_id"], visit["clinic_name"]))
    if visit["status"] == "cancelled":
        event.add("transp", "TRANSPARENT")
    return event


def _doctor(visit: Visit) -> str:
    """Name the doctor, and of a dependant also who comes: the account has visits of several."""
    if visit["patient_id"] == visit["account_id"]:
        return str(visit["doctor_name"])
    return f"{visit['doctor_name']} ({visit['patient_name']})"


def _address(thing_id: object, name: str) -> vCalAddress:
    """Name a party of a visit, without an address at which it could be reached."""
    address = vCalAddress(f"urn:uuid:{thing_id}")
    address.params["CN"] = vText(_plain(name))
    return address


def _plain(text: str) -> str:
    """Answer the text in one line; one control character in it would spoil the whole file."""
    return CONTROLS.sub(" ", text)


def _short(name: str) -> str:
    """Shorten a name to what tells a doctor's patients apart."""
    given, _, rest = name.partition(" ")
    return f"{given} {rest[0]}." if rest else given
