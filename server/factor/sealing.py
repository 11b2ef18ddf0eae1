"""Secrets of second factors at rest: a copy of the database is worth nothing without the key."""

import hmac
import secrets
from collections.abc import Sequence
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE = 12


class Sealing:
    """Seals with the first key of 32 bytes and opens with any, so that keys can rotate."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = tuple(keys)

    def seal(self, owner: UUID, secret: bytes) -> bytes:
        """Encrypt a secret; it opens for this owner alone."""
        nonce = secrets.token_bytes(NONCE)
        return nonce + AESGCM(self._keys[0]).encrypt(nonce, secret, owner.bytes)

    def open(self, owner: UUID, sealed: bytes) -> bytes | None:
        """Decrypt a secret; None when none of the keys has sealed it for this owner."""
        for key in self._keys:
            try:
                return AESGCM(key).decrypt(sealed[:NONCE], sealed[NONCE:], owner.bytes)
            except InvalidTag:
                continue
        return None

    def hashes(self, owner: UUID, code: str) -> list[bytes]:
        """Answer the hashes that a recovery code may be stored under; a new one has the first."""
        return [hmac.digest(key, owner.bytes + code.encode(), "sha256") for key in self._keys]
