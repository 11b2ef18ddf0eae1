"""/api/me/factors: second factors, and the second step of a sign-in."""

from typing import Final

from bff.route import Route

_SERVICE: Final = "carelane.factor.v1.FactorService"

ROUTES: Final = (
    Route("GET", "/api/me/factors", f"{_SERVICE}.ListFactors"),
    Route("POST", "/api/me/factors/totp", f"{_SERVICE}.AddTotp", status=201),
    Route("POST", "/api/me/factors/totp/confirm", f"{_SERVICE}.ConfirmTotp"),
    Route("POST", "/api/me/factors/passkey/options", f"{_SERVICE}.BeginPasskey"),
    Route("POST", "/api/me/factors/passkey", f"{_SERVICE}.AddPasskey", status=201),
    Route("DELETE", "/api/me/factors/{factor_id}", f"{_SERVICE}.RemoveFactor"),
    Route("POST", "/api/me/recovery-codes", f"{_SERVICE}.RenewRecoveryCodes", status=201),
    Route("POST", "/api/auth/passkey/options", f"{_SERVICE}.BeginPasskeyCheck"),
    Route("POST", "/api/auth/login/complete", f"{_SERVICE}.CompleteLogin"),
)
