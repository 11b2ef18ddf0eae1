"""Refresh tokens and what else is derived with a secret key of the server.

A refresh token is 256 random bits, or the keyed hash of the token before it. So the successor of a
token that is presented twice can be handed out again although only its hash is stored, and a copy
of the database is worth nothing without the key.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence

MIN_KEY_BYTES = 32


def new_token() -> str:
    """Make the first refresh token of a session."""
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> bytes:
    """Answer the hash under which a refresh token is stored."""
    return hashlib.sha256(token.encode()).digest()


class KeyedHash:
    """Derives with the first key; tokens derived with an older one are still recognised."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) < MIN_KEY_BYTES for key in keys):
            raise ValueError("Refresh tokens need at least one key, each of 32 bytes or more.")
        self._keys = tuple(keys)

    def successor(self, token: str) -> str:
        """Answer the token that a refresh token is exchanged for."""
        return _successor(self._keys[0], token)

    def successors(self, token: str) -> tuple[str, ...]:
        """Answer what the token may have been exchanged for, under each key."""
        return tuple(_successor(key, token) for key in self._keys)

    def network(self, network: str) -> bytes:
        """Answer a network's hash, to know it again without storing it."""
        return _derive(self._keys[0], "network", network)[:16]


def _successor(key: bytes, token: str) -> str:
    return base64.urlsafe_b64encode(_derive(key, "refresh", token)).rstrip(b"=").decode()


def _derive(key: bytes, purpose: str, value: str) -> bytes:
    return hmac.digest(key, f"{purpose}\0{value}".encode(), "sha256")
