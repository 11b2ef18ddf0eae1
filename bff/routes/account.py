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
    Route("POST", "/api/me/email", f"{_SERVICE}.RequestEmailChange", status=202),
    Route("POST", "/api/account/confirm-email", f"{_SERVICE}.ConfirmEmailChange"),
    Route("POST", "/api/me/phone/code", f"{_SERVICE}.RequestPhoneCode", status=202),
    Route("POST", "/api/me/phone", f"{_SERVICE}.ConfirmPhoneCode"),
    Route("DELETE", "/api/me", f"{_SERVICE}.DeleteAccount"),
)
