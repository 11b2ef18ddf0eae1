"""The strict reader refuses what is no calendar, so that what it reads is one."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from server.calendar import ics
from tests.calendar import rfc5545

START = datetime(2026, 7, 3, 5, 0, tzinfo=UTC)
ID = UUID(int=7)
VISIT = {
    **dict.fromkeys(("appointment_id", "clinic_id", "patient_id", "account_id"), ID),
    **dict.fromkeys(("create_time", "update_time", "start_time"), START),
    "end_time": START + timedelta(minutes=30),
    "time_zone": "America/New_York",
    "doctor_name": "Dr. Meera Nair",
    "clinic_name": "Lakeside Clinic",
    "clinic_address": "1 Lake Road, Kochi",
    "patient_name": "Asha Rao",
    "visit_type_name": "Consultation",
    "status": "booked",
    "revision": 1,
}
ZONE = "BEGIN:VTIMEZONE", "END:VTIMEZONE\r\n"


def test_a_visit_is_read() -> None:
    (event,) = rfc5545.read(ics.of_visit(VISIT)).of_kind("VEVENT")
    assert event.properties["DTSTART"].instant() == datetime(2026, 7, 3, 1)  # noqa: DTZ001


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\r\n", "\n"),
        ("\r\n ", ""),
        (r"\,", ","),
        ("DTSTAMP:", "X-DTSTAMP:"),
        ("UID:", "UID:7\r\nUID:"),
        ("T010000", "T010000Z"),
        ("TZID=America/New_York", "TZID=America/Boston"),
        ("METHOD:REQUEST", "METHOD:PUBLISH"),
        ("METHOD:REQUEST", "METHOD:CANCEL"),
        ("END:VEVENT\r\n", ""),
    ],
)
def test_what_is_no_calendar_is_refused(old: str, new: str) -> None:
    text = ics.of_visit(VISIT)
    assert old in text
    with pytest.raises(AssertionError):
        rfc5545.read(text.replace(old, new))


def test_a_zone_that_is_missing_is_noticed() -> None:
    text = ics.of_visit(VISIT)
    before, _, rest = text.partition(ZONE[0])
    with pytest.raises((AssertionError, ValueError)):
        rfc5545.read(before + rest.partition(ZONE[1])[2])
