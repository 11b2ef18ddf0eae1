"""Secrets of keys: 32 random bytes behind a prefix that scanners find, and a checksum.

`carelane_key_` + 64 hexadecimal digits + the CRC-32 of these digits in 8 more. They are stored as
keyed hashes, so that a copy of the database is worth nothing without the key.
"""

import hmac
import re
import secrets
import zlib
from collections.abc import Sequence
from uuid import UUID

PREFIX = "carelane_key_"
SHOWN = len(PREFIX) + 6
_FORM = re.compile(PREFIX + "([0-9a-f]{64})([0-9a-f]{8})")


def new_secret() -> str:
    """Make a secret."""
    digits = secrets.token_hex(32)
    return f"{PREFIX}{digits}{_checksum(digits)}"


def is_well_formed(secret: str) -> bool:
    """Tell whether it can be a secret of ours, mistyped ones left out."""
    found = _FORM.fullmatch(secret)
    return found is not None and _checksum(found[1]) == found[2]


def shown(secret: str) -> str:
    """Answer what people are shown of a secret ever after."""
    return secret[:SHOWN]


class SecretHashes:
    """Hashes with the first key of the server, and knows what was hashed with the others."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = tuple(keys)

    def make(self, key_id: UUID, secret: str) -> bytes:
        """Answer what is stored of a key's secret."""
        return _hash(self._keys[0], key_id, secret)

    def match(self, key_id: UUID, secret: str, stored: bytes) -> bool:
        """Compare a secret with what is stored, in the same time whatever they are."""
        made = [_hash(key, key_id, secret) for key in self._keys]
        return any([hmac.compare_digest(each, stored) for each in made])  # noqa: C419 - all of them


def _hash(key: bytes, key_id: UUID, secret: str) -> bytes:
    return hmac.digest(key, key_id.bytes + secret.encode(), "sha256")


def _checksum(digits: str) -> str:
    return f"{zlib.crc32(digits.encode()):08x}"
