"""The cookie of a browser's session: its tokens, sealed, and the CSRF token that goes with it."""

import base64
import hmac
import json
import secrets
from collections.abc import Sequence
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from starlette.types import Scope

LONGEST: Final = 4096  # browsers keep no longer ones
NAME: Final = "__Host-carelane-session"
INSECURE_NAME: Final = "carelane-session"
_NONCE: Final = 12
_EPOCH: Final = "Thu, 01 Jan 1970 00:00:00 GMT"


class Held(NamedTuple):
    """What the cookie holds; times are seconds since 1970."""

    session_id: str
    access_token: str
    access_expires: int
    refresh_token: str
    refresh_expires: int


class Cookies:
    """Seals with the first key; what an older one sealed is still opened.

    Without keys each start makes one. `insecure` is for plain HTTP on a developer's machine: a
    browser would neither keep nor send a cookie that is Secure there.
    """

    def __init__(self, keys: Sequence[str], *, insecure: bool = False) -> None:
        roots = [key.encode() for key in keys] or [secrets.token_bytes(32)]
        self.name = INSECURE_NAME if insecure else NAME
        self._ciphers = [AESGCM(_derived(root, "session cookie")) for root in roots]
        self._csrf_keys = [_derived(root, "csrf token") for root in roots]
        self._attributes = "; Path=/; HttpOnly; SameSite=Strict" + ("" if insecure else "; Secure")

    def value(self, scope: Scope) -> str | None:
        """Answer the value of the cookie; of two with its name, the browser sends ours first."""
        for name, line in scope["headers"]:
            if name == b"cookie":
                pairs = [pair.strip().partition("=") for pair in line.decode("latin-1").split(";")]
                found = [value for key, _, value in pairs if key == self.name]
                if found:
                    return str(found[0])
        return None

    def open(self, value: str) -> Held | None:
        """Answer what a value holds; None for one that no key of ours has sealed."""
        try:
            sealed = base64.b64decode(value[:LONGEST].encode("ascii"), b"-_", validate=True)
        except ValueError:
            return None
        for cipher in self._ciphers:
            try:
                opened = cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], self.name.encode())
            except (InvalidTag, ValueError):
                continue
            return Held(*json.loads(opened))
        return None

    def seal(self, held: Held) -> str:
        """Answer the value that holds a session, another one at every call."""
        nonce = secrets.token_bytes(_NONCE)
        sealed = self._ciphers[0].encrypt(nonce, json.dumps(held).encode(), self.name.encode())
        return base64.urlsafe_b64encode(nonce + sealed).decode()

    def header(self, held: Held | None, now: float) -> bytes:
        """Answer the Set-Cookie that gives the browser a session, or takes it away."""
        if held is None:
            return f"{self.name}={self._attributes}; Max-Age=0; Expires={_EPOCH}".encode()
        seconds = max(0, held.refresh_expires - int(now))
        return f"{self.name}={self.seal(held)}{self._attributes}; Max-Age={seconds}".encode()

    def csrf_token(self, session_id: str) -> str:
        """Answer the token of a session, which is the same as long as the key is."""
        return _keyed_hash(self._csrf_keys[0], session_id)

    def is_csrf_token(self, token: str, session_id: str) -> bool:
        """Answer whether a token is that of the session, under any of the keys."""
        given = token.encode()
        hashes = [_keyed_hash(key, session_id).encode() for key in self._csrf_keys]
        return any(hmac.compare_digest(given, known) for known in hashes)


def _derived(root: bytes, purpose: str) -> bytes:
    info = f"carelane {purpose}".encode()
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(root)


def _keyed_hash(key: bytes, session_id: str) -> str:
    digest = hmac.digest(key, session_id.encode(), "sha256")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
