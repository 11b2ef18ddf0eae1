"""/api/clinics: who works at a clinic, and when it is closed."""

from typing import Final

from bff.route import Route

_SERVICE: Final = "carelane.directory.v1.DirectoryService"
_AVAILABILITY: Final = "carelane.availability.v1.AvailabilityService"
_CLOSURES: Final = "/api/clinics/{clinic_id}/closures"
_HOLIDAYS: Final = "/api/clinics/{clinic_id}/public-holidays"
_MEMBERS: Final = "/api/clinics/{clinic_id}/members"

ROUTES: Final = (
    Route("GET", _MEMBERS, f"{_SERVICE}.ListClinicMembers"),
    Route("POST", _MEMBERS, f"{_SERVICE}.AddClinicMember", status=201),
    Route("PATCH", f"{_MEMBERS}/{{user_id}}", f"{_SERVICE}.UpdateClinicMember"),
    Route("DELETE", f"{_MEMBERS}/{{user_id}}", f"{_SERVICE}.RemoveClinicMember"),
    Route("GET", _CLOSURES, f"{_AVAILABILITY}.ListClosures"),
    Route("POST", _CLOSURES, f"{_AVAILABILITY}.AddClosure", status=201),
    Route("DELETE", f"{_CLOSURES}/{{closure_id}}", f"{_AVAILABILITY}.RemoveClosure"),
    Route("GET", _HOLIDAYS, f"{_AVAILABILITY}.GetPublicHolidays"),
    Route("PUT", _HOLIDAYS, f"{_AVAILABILITY}.SetPublicHolidays"),
)
