"""/api/doctors: the doctors whom patients find, and their free times."""

from typing import Final

from bff.route import Route

_DIRECTORY: Final = "carelane.directory.v1.DirectoryService"
_AVAILABILITY: Final = "carelane.availability.v1.AvailabilityService"

ROUTES: Final = (
    Route("GET", "/api/doctors", f"{_DIRECTORY}.SearchDoctors"),
    Route("GET", "/api/doctors/{doctor_id}", f"{_DIRECTORY}.GetDoctor"),
    Route("GET", "/api/doctors/{doctor_id}/slots", f"{_AVAILABILITY}.GetSlots"),
)
