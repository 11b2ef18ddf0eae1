"""Codes of authenticator apps (RFC 6238): six digits, thirty seconds, SHA-1."""

import hmac
from datetime import datetime

import pyotp

ISSUER = "Carelane"
PERIOD = 30
DRIFT = (0, -1, 1)
"""The steps around now whose codes are taken: clocks differ, and typing takes time."""


def new_secret() -> str:
    """Make a secret of 160 bits, in base32."""
    return pyotp.random_base32()


def uri(secret: str, email: str) -> str:
    """Answer what an app reads from a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=ISSUER)


def code(secret: str, now: datetime) -> str:
    """Answer the code of this moment."""
    return pyotp.TOTP(secret).at(now)


def step_of(secret: str, given: str, now: datetime) -> int | None:
    """Answer the number of the time step that a code belongs to; None when it is wrong."""
    made = pyotp.TOTP(secret)
    found = None
    for drift in DRIFT:
        if hmac.compare_digest(made.at(now, counter_offset=drift), given):
            found = int(now.timestamp()) // PERIOD + drift
    return found
