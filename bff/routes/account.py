"""/api/account: what the links of mails lead to; and under /api/me what asks for such a mail."""

from typing import Final

from bff.route import Route

_SERVICE: Final = "carelane.account.v1.AccountService"

ROUTES: Final = (
    Route("POST", "/api/account/verify-email", f"{_SERVICE}.VerifyEmail"),
    # 202: what follows comes by mail
    Route("POST", "/api/me/email/verification", f"{_SERVICE}.ResendVerification", status=202),
    Route("POST", "/api/account/forgot-password", f"{_SERVICE}.RequestPasswordReset", status=202),
    Route("POST", "/api/account/reset-password", f"{_SERVICE}.ResetPassword"),
)
