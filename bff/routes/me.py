"""/api/me and /api/notifications: what belongs to the person who calls."""

from typing import Final

from bff.route import Route

_AUTH: Final = "carelane.auth.v1.AuthService"
_DIRECTORY: Final = "carelane.directory.v1.DirectoryService"
_NOTIFICATION: Final = "carelane.notification.v1.NotificationService"

ROUTES: Final = (
    Route("GET", "/api/me", f"{_AUTH}.GetProfile"),
    Route("PATCH", "/api/me", f"{_AUTH}.UpdateProfile"),
    Route("POST", "/api/me/password", f"{_AUTH}.ChangePassword"),
    Route("GET", "/api/me/clinics", f"{_DIRECTORY}.ListMyClinics"),
    Route("GET", "/api/notifications", f"{_NOTIFICATION}.ListNotifications"),
    Route("POST", "/api/notifications/read", f"{_NOTIFICATION}.MarkNotificationsRead"),
)
