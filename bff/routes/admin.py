"""/api/admin: the platform's administrators."""

from typing import Final

from bff.route import Route

_SERVICE: Final = "carelane.admin.v1.AdminService"

ROUTES: Final = (
    Route("GET", "/api/admin/doctors/pending-verification", f"{_SERVICE}.ListPendingVerifications"),
    Route("PUT", "/api/admin/doctors/{doctor_id}/verify", f"{_SERVICE}.VerifyDoctor"),
    Route("GET", "/api/admin/analytics", f"{_SERVICE}.GetAnalytics"),
)
