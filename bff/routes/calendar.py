"""Visits for calendar programs: a file for each, and the feed of a person."""

from typing import Final

from bff.route import Route

_SERVICE: Final = "carelane.calendar.v1.CalendarService"
_MINE: Final = "/api/me/calendar"
_ICS: Final = "text/calendar"

ROUTES: Final = (
    Route(
        "GET",
        "/api/appointments/{appointment_id}/calendar.ics",
        f"{_SERVICE}.GetAppointmentCalendar",
        text=_ICS,
    ),
    Route("GET", _MINE, f"{_SERVICE}.GetCalendarFeed"),
    Route("POST", _MINE, f"{_SERVICE}.RotateCalendarFeed", status=201),
    Route("DELETE", _MINE, f"{_SERVICE}.RevokeCalendarFeed"),
    Route("GET", "/api/calendar/{token}.ics", f"{_SERVICE}.ReadCalendarFeed", text=_ICS),
)
