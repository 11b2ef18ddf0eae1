"""One secret of the operator, and the keys derived from it for each purpose."""

import hashlib
import secrets
from collections.abc import Sequence

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

LENGTH = 32


class Keys:
    """Derives keys; the first secret is the current one, the others were current before."""

    def __init__(self, settings: Sequence[str]) -> None:
        self._secrets = [text.encode() for text in settings] or [secrets.token_bytes(LENGTH)]

    def derive(self, purpose: str) -> list[bytes]:
        """Answer a key of 32 bytes for each secret; one purpose's tells nothing of another's."""
        return [_derived(secret, purpose) for secret in self._secrets]

    def names(self, purpose: str) -> list[str]:
        """Answer a public name for each key of `derive`."""
        return [hashlib.sha256(key).hexdigest()[:16] for key in self.derive(f"{purpose} name")]


def _derived(secret: bytes, purpose: str) -> bytes:
    info = f"carelane {purpose}".encode()
    return HKDF(algorithm=SHA256(), length=LENGTH, salt=None, info=info).derive(secret)
