"""/api/auth: accounts and sessions."""

from typing import Final

from bff.route import Route

_SERVICE: Final = "carelane.auth.v1.AuthService"

ROUTES: Final = (
    # 202: whether an account was made is told to the address alone
    Route("POST", "/api/auth/register", f"{_SERVICE}.Register", status=202),
    Route("POST", "/api/auth/login", f"{_SERVICE}.Login"),
    Route("POST", "/api/auth/refresh", f"{_SERVICE}.RefreshToken"),
    Route("POST", "/api/auth/logout", f"{_SERVICE}.Logout"),
    Route("POST", "/api/auth/verify", f"{_SERVICE}.VerifyToken"),
    Route("GET", "/.well-known/jwks.json", f"{_SERVICE}.GetJwks", cache=300),
)
