"""/api/doctor: the workspace of the doctor who calls."""

from typing import Final

from bff.route import Route

_DIRECTORY: Final = "carelane.directory.v1.DirectoryService"
_AVAILABILITY: Final = "carelane.availability.v1.AvailabilityService"
_APPOINTMENT: Final = "carelane.appointment.v1.AppointmentService"

ROUTES: Final = (
    Route("GET", "/api/doctor/profile", f"{_DIRECTORY}.GetDoctorProfile"),
    Route("POST", "/api/doctor/profile", f"{_DIRECTORY}.UpsertDoctorProfile"),
    Route("GET", "/api/doctor/appointments", f"{_APPOINTMENT}.ListDoctorAppointments"),
    Route("GET", "/api/doctor/availability", f"{_AVAILABILITY}.GetAvailability"),
    Route("PUT", "/api/doctor/availability", f"{_AVAILABILITY}.SetAvailability"),
    Route("GET", "/api/doctor/time-off", f"{_AVAILABILITY}.ListTimeOff"),
    Route("POST", "/api/doctor/time-off", f"{_AVAILABILITY}.AddTimeOff", status=201),
    Route("DELETE", "/api/doctor/time-off/{time_off_id}", f"{_AVAILABILITY}.RemoveTimeOff"),
    Route("GET", "/api/doctor/travel-times", f"{_AVAILABILITY}.ListTravelTimes"),
    Route("PUT", "/api/doctor/travel-times", f"{_AVAILABILITY}.SetTravelTime"),
)
