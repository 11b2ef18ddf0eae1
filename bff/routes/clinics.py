"""/api/clinics: who works at a clinic."""

from typing import Final

from bff.route import Route

_SERVICE: Final = "carelane.directory.v1.DirectoryService"
_MEMBERS: Final = "/api/clinics/{clinic_id}/members"

ROUTES: Final = (
    Route("GET", _MEMBERS, f"{_SERVICE}.ListClinicMembers"),
    Route("POST", _MEMBERS, f"{_SERVICE}.AddClinicMember", status=201),
    Route("PATCH", f"{_MEMBERS}/{{user_id}}", f"{_SERVICE}.UpdateClinicMember"),
    Route("DELETE", f"{_MEMBERS}/{{user_id}}", f"{_SERVICE}.RemoveClinicMember"),
)
