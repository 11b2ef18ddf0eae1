"""Who did what: for administrators, for the owners of clinics, for those whose data it was."""

from typing import Final

from bff.lines import MEDIA_TYPE as LINES
from bff.route import Route

_SERVICE: Final = "carelane.audit.v1.AuditService"

ROUTES: Final = (
    Route("GET", "/api/admin/audit", f"{_SERVICE}.ListAuditEntries"),
    Route("GET", "/api/admin/audit/export", f"{_SERVICE}.ExportAudit", text=LINES),
    Route("GET", "/api/clinics/{clinic_id}/audit", f"{_SERVICE}.ListClinicAuditEntries"),
    Route("GET", "/api/me/access", f"{_SERVICE}.ListMyAccess"),
)
