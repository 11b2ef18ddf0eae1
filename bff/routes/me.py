"""/api/me and /api/notifications: what belongs to the person who calls."""

from typing import Final

from bff.route import Route

_AUTH: Final = "carelane.auth.v1.AuthService"
_DIRECTORY: Final = "carelane.directory.v1.DirectoryService"
_NOTIFICATION: Final = "carelane.notification.v1.NotificationService"
_PATIENT: Final = "carelane.patient.v1.PatientService"

ROUTES: Final = (
    Route("GET", "/api/me", f"{_AUTH}.GetProfile"),
    Route("PATCH", "/api/me", f"{_AUTH}.UpdateProfile"),
    Route("POST", "/api/me/password", f"{_AUTH}.ChangePassword"),
    Route("GET", "/api/me/sessions", f"{_AUTH}.ListSessions"),
    Route("DELETE", "/api/me/sessions/{session_id}", f"{_AUTH}.RevokeSession"),
    Route("POST", "/api/me/reauthenticate", f"{_AUTH}.Reauthenticate"),
    Route("POST", "/api/me/dependants", f"{_PATIENT}.AddDependant", status=201),
    Route("GET", "/api/me/dependants", f"{_PATIENT}.ListDependants"),
    Route("DELETE", "/api/me/dependants/{patient_id}", f"{_PATIENT}.EndDependant"),
    Route("GET", "/api/me/clinics", f"{_DIRECTORY}.ListMyClinics"),
    Route("GET", "/api/notifications", f"{_NOTIFICATION}.ListNotifications"),
    Route("POST", "/api/notifications/read", f"{_NOTIFICATION}.MarkNotificationsRead"),
)
