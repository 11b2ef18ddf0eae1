"""/api/session: signing in for browsers, with the session in a cookie."""

from typing import Final

from bff.route import Route

_AUTH: Final = "carelane.auth.v1.AuthService"

ROUTES: Final = (
    Route("POST", "/api/session", f"{_AUTH}.Login", cookie="open"),
    Route(
        "POST",
        "/api/session/complete",
        "carelane.factor.v1.FactorService.CompleteLogin",
        cookie="open",
    ),
    Route("GET", "/api/session", f"{_AUTH}.GetProfile", cookie="show"),
    Route("DELETE", "/api/session", f"{_AUTH}.Logout", cookie="end"),
)
