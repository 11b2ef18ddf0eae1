"""Access tokens: EdDSA-signed JWTs (RFC 9068) and the only code that accepts them.

PyJWT checks the signature. What it leaves open by default is closed here: the header holds `typ`,
`alg` and `kid` and nothing else, the claims are exactly ours, each once, and times are integers.
"""

import base64
import binascii
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from server.core.clock import Clock
from server.core.errors import Unauthenticated

LIFETIME = timedelta(minutes=15)
CLOCK_SKEW = timedelta(seconds=60)
MAX_LENGTH = 2048
ALGORITHM = "EdDSA"
TYPE = "at+jwt"
HEADER = frozenset({"typ", "alg", "kid"})
CLAIMS = frozenset({"iss", "aud", "sub", "sid", "role", "iat", "exp"})
KEY_CLAIMS = frozenset({"iss", "aud", "sub", "sid", "kind", "clinic", "scope", "iat", "exp"})
PARTNER, SERVICE = "partner", "service"
SCOPE = re.compile("[a-z]+[.][a-z]+")
ROLES = ("patient", "doctor", "staff", "admin")


class InvalidToken(Unauthenticated):
    """The token is not one of ours, or says something that ours never say."""

    text = "The access token is not valid; sign in again."


class TokenExpired(Unauthenticated):
    """The token is one of ours and its time is over."""

    reason = "TOKEN_EXPIRED"
    text = "The access token has expired; refresh it."


class SigningKey(NamedTuple):
    """A private Ed25519 key under the name that token headers carry."""

    kid: str
    private_key: Ed25519PrivateKey


class PublicKey(NamedTuple):
    """What the world checks tokens with; `x` is base64url without padding (RFC 8037)."""

    kid: str
    x: str


class SignedToken(NamedTuple):
    """A token for its owner, and when it stops being accepted."""

    token: str
    expire_time: datetime


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What a valid token of a person says."""

    user_id: UUID
    role: str
    session_id: UUID
    expire_time: datetime


@dataclass(frozen=True, slots=True)
class KeyToken:
    """What a valid token of a program says: by which key and secret, for which clinic if any."""

    key_id: UUID
    secret_id: UUID
    clinic_id: UUID | None
    scopes: frozenset[str]
    expire_time: datetime


def signing_key(kid: str, private_key: str) -> SigningKey:
    """Read a key from PEM (PKCS 8) or from the base64 of its 32 bytes; ValueError otherwise."""
    if "-----BEGIN" in private_key:
        key = load_pem_private_key(private_key.encode(), password=None)
    else:
        key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(private_key, validate=True))
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"The key {kid} is not an Ed25519 key.")  # noqa: TRY004 (a bad value)
    return SigningKey(kid, key)


class Tokens:
    """Signs with the first key and accepts what any of the keys signed, so that keys can rotate."""

    def __init__(
        self, keys: Sequence[SigningKey], *, issuer: str, audience: str, clock: Clock
    ) -> None:
        if not keys or len({key.kid for key in keys}) < len(keys):
            raise ValueError("Access tokens need at least one key, and each kid once.")
        self._signer = keys[0]
        self._public = {key.kid: key.private_key.public_key() for key in keys}
        self._issuer = issuer
        self._audience = audience
        self._clock = clock

    def sign(self, user_id: UUID, role: str, session_id: UUID) -> SignedToken:
        """Make a token that speaks for the user in this session for 15 minutes."""
        return self._sign({"sub": str(user_id), "sid": str(session_id), "role": role})

    def sign_key(
        self,
        key_id: UUID,
        secret_id: UUID,
        *,
        clinic_id: UUID | None,
        scopes: frozenset[str],
    ) -> SignedToken:
        """Make a token that speaks for a key for 15 minutes, while its secret is accepted."""
        return self._sign(
            {
                "sub": str(key_id),
                "sid": str(secret_id),
                "kind": PARTNER if clinic_id else SERVICE,
                "clinic": str(clinic_id or ""),
                "scope": " ".join(sorted(scopes)),
            }
        )

    def _sign(self, said: dict[str, str]) -> SignedToken:
        now = self._clock.now()
        expire_time = (now + LIFETIME).replace(microsecond=0)
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            **said,
            "iat": int(now.timestamp()),
            "exp": int(expire_time.timestamp()),
        }
        header = {"typ": TYPE, "kid": self._signer.kid}
        token = jwt.encode(claims, self._signer.private_key, algorithm=ALGORITHM, headers=header)
        return SignedToken(token, expire_time)

    def verify(self, token: str) -> AccessToken | KeyToken:
        """Answer what the token says, or raise InvalidToken or TokenExpired."""
        if len(token) > MAX_LENGTH or token.count(".") != 2:
            raise InvalidToken
        header, claims, _ = (_decode(segment) for segment in token.split("."))
        self._check_signature(token, _json_object(header))
        return self._read(_json_object(claims))

    def public_keys(self) -> tuple[PublicKey, ...]:
        """Answer the keys that tokens may be signed with, the current one first."""
        return tuple(
            PublicKey(kid, _encode(key.public_bytes_raw())) for kid, key in self._public.items()
        )

    def _check_signature(self, token: str, header: dict[str, Any]) -> None:
        kid = header.get("kid")
        if set(header) != HEADER or header["typ"] != TYPE or header["alg"] != ALGORITHM:
            raise InvalidToken
        if not isinstance(kid, str) or kid not in self._public:
            raise InvalidToken
        try:
            jwt.api_jws.decode(token, self._public[kid], algorithms=[ALGORITHM])
        except jwt.PyJWTError:
            raise InvalidToken from None

    def _read(self, claims: dict[str, Any]) -> AccessToken | KeyToken:
        if set(claims) not in (CLAIMS, KEY_CLAIMS):
            raise InvalidToken
        if claims["iss"] != self._issuer or claims["aud"] != self._audience:
            raise InvalidToken
        return self._of_key(claims) if "kind" in claims else self._of_person(claims)

    def _of_key(self, claims: dict[str, Any]) -> KeyToken:
        clinic_id = None if claims["clinic"] == "" else _uuid(claims["clinic"])
        if claims["kind"] != (PARTNER if clinic_id else SERVICE):
            raise InvalidToken
        return KeyToken(
            key_id=_uuid(claims["sub"]),
            secret_id=_uuid(claims["sid"]),
            clinic_id=clinic_id,
            scopes=_scopes(claims["scope"]),
            expire_time=self._expire_time(claims["iat"], claims["exp"]),
        )

    def _of_person(self, claims: dict[str, Any]) -> AccessToken:
        if claims["role"] not in ROLES:
            raise InvalidToken
        return AccessToken(
            user_id=_uuid(claims["sub"]),
            role=claims["role"],
            session_id=_uuid(claims["sid"]),
            expire_time=self._expire_time(claims["iat"], claims["exp"]),
        )

    def _expire_time(self, issued: object, expires: object) -> datetime:
        # type(…), because True is an int to isinstance
        if type(issued) is not int or type(expires) is not int:
            raise InvalidToken
        if not 0 < expires - issued <= LIFETIME.total_seconds():
            raise InvalidToken
        now = self._clock.now().timestamp()
        if issued > now + CLOCK_SKEW.total_seconds():
            raise InvalidToken
        if expires <= now:
            raise TokenExpired
        return datetime.fromtimestamp(expires, UTC)


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _decode(segment: str) -> bytes:
    """Undo base64url without padding, refusing every second spelling of the same bytes."""
    try:
        data = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except (binascii.Error, ValueError):
        raise InvalidToken from None
    if _encode(data) != segment:
        raise InvalidToken
    return data


def _json_object(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise InvalidToken from None
    if not isinstance(value, dict):
        raise InvalidToken
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise InvalidToken
    return members


def _scopes(value: object) -> frozenset[str]:
    scopes = value.split(" ") if isinstance(value, str) else []
    if not scopes or scopes != sorted({*scopes}) or not all(map(SCOPE.fullmatch, scopes)):
        raise InvalidToken
    return frozenset(scopes)


def _uuid(value: object) -> UUID:
    try:
        identifier = UUID(value) if isinstance(value, str) else None
    except ValueError:
        identifier = None
    if identifier is None or str(identifier) != value:
        raise InvalidToken
    return identifier
