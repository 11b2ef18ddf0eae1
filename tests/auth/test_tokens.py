"""The verifier of access tokens accepts ours and nothing that looks like them."""

import base64
import json
import socket
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from server.auth import tokens
from server.auth.tokens import InvalidToken, SigningKey, TokenExpired, Tokens
from server.core.clock import MovableClock

ISSUER, AUDIENCE = "https://carelane.example", "carelane"
KEY = SigningKey("k1", Ed25519PrivateKey.generate())
OLD = SigningKey("k0", Ed25519PrivateKey.generate())
STRANGER = Ed25519PrivateKey.generate()
USER, SESSION = uuid4(), uuid4()


def verifier(clock: MovableClock | None = None, *keys: SigningKey) -> Tokens:
    return Tokens(
        keys or (KEY, OLD), issuer=ISSUER, audience=AUDIENCE, clock=clock or MovableClock()
    )


def claims(**changes: Any) -> dict[str, Any]:
    now = int(MovableClock().now().timestamp())
    usual = {
        "iss": ISSUER, "aud": AUDIENCE, "sub": str(USER), "sid": str(SESSION), "role": "patient",
        "iat": now, "exp": now + 600,
    }  # fmt: skip
    return {name: value for name, value in (usual | changes).items() if value is not None}


def segment(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def signed(header: bytes, payload: bytes, key: Ed25519PrivateKey = KEY.private_key) -> str:
    """A token with exactly these bytes and a right signature over them."""
    body = f"{segment(header)}.{segment(payload)}"
    return f"{body}.{segment(key.sign(body.encode()))}"


def flipped(token: str) -> str:
    """The token with one bit of its signature turned over."""
    head, body, signature = token.split(".")
    raw = bytearray(base64.urlsafe_b64decode(signature + "=="))
    raw[0] ^= 1
    return f"{head}.{body}.{segment(bytes(raw))}"


HEADER = b'{"typ":"at+jwt","alg":"EdDSA","kid":"k1"}'


def with_claims(**changes: Any) -> str:
    return signed(HEADER, json.dumps(claims(**changes)).encode())


def with_header(**changes: Any) -> str:
    header = {"typ": "at+jwt", "alg": "EdDSA", "kid": "k1"} | changes
    kept = {name: value for name, value in header.items() if value is not None}
    return signed(json.dumps(kept).encode(), json.dumps(claims()).encode())


def test_a_token_of_ours_says_who_and_which_session() -> None:
    subject = verifier()
    token, expire_time = subject.sign(USER, "doctor", SESSION)
    said = subject.verify(token)
    assert (said.user_id, said.role, said.session_id) == (USER, "doctor", SESSION)
    assert said.expire_time == expire_time


def test_the_forging_tools_of_this_file_make_a_valid_token_when_nothing_is_changed() -> None:
    assert verifier().verify(with_claims()).user_id == USER
    assert verifier().verify(with_header()).user_id == USER


def test_a_token_is_refused_after_fifteen_minutes() -> None:
    clock = MovableClock()
    subject = verifier(clock)
    token, _ = subject.sign(USER, "patient", SESSION)
    clock.advance(timedelta(minutes=14, seconds=58))
    subject.verify(token)
    clock.advance(timedelta(seconds=3))
    with pytest.raises(TokenExpired):
        subject.verify(token)


def test_a_key_that_signs_no_more_still_verifies_until_it_is_removed() -> None:
    token, _ = verifier(None, OLD).sign(USER, "patient", SESSION)
    assert verifier(None, KEY, OLD).verify(token).user_id == USER
    with pytest.raises(InvalidToken):
        verifier(None, KEY).verify(token)


def test_published_keys_verify_what_was_signed() -> None:
    subject = verifier()
    token, _ = subject.sign(USER, "patient", SESSION)
    first = subject.public_keys()[0]
    key = jwt.PyJWK({"kty": "OKP", "crv": "Ed25519", "x": first.x, "kid": first.kid})
    assert first.kid == jwt.get_unverified_header(token)["kid"]
    assert jwt.decode(token, key, algorithms=["EdDSA"], audience=AUDIENCE)["sub"] == str(USER)


FORGED: dict[str, Callable[[], str]] = {
    "empty": lambda: "",
    "not three parts": lambda: "a.b",
    "four parts": lambda: with_claims() + ".e30",
    "rubbish": lambda: "é.ü.ß",
    "no signature": lambda: with_claims().rsplit(".", 1)[0] + ".",
    "signed by a stranger": lambda: signed(HEADER, json.dumps(claims()).encode(), STRANGER),
    "alg none": lambda: jwt.encode(claims(), None, "none", {"typ": "at+jwt", "kid": "k1"}),
    "alg None in other letters": lambda: with_header(alg="nOnE"),
    "alg missing": lambda: with_header(alg=None),
    "signature of another token": lambda: ".".join(
        (*with_claims(role="admin").split(".")[:2], with_claims().split(".")[2])
    ),
    "signature with a bit flipped": lambda: flipped(with_claims()),
    "alg HS256 with the public key": lambda: jwt.encode(
        claims(),
        KEY.private_key.public_key().public_bytes_raw(),
        "HS256",
        {"typ": "at+jwt", "kid": "k1"},
    ),
    "alg in other letters": lambda: with_header(alg="eddsa"),
    "typ JWT": lambda: with_header(typ="JWT"),
    "typ of another kind": lambda: with_header(typ="rt+jwt"),
    "typ missing": lambda: with_header(typ=None),
    "kid missing": lambda: with_header(kid=None),
    "kid unknown": lambda: with_header(kid="k9"),
    "kid a path": lambda: with_header(kid="../../dev/null"),
    "kid not a string": lambda: with_header(kid=["k1"]),
    "its own key in the header": lambda: with_header(jwk={"kty": "OKP"}),
    "a key address in the header": lambda: with_header(jku="https://evil.example/jwks"),
    "its own certificate in the header": lambda: with_header(x5c=["MIIB"]),
    "a certificate's address in the header": lambda: with_header(x5u="https://evil.example/x.pem"),
    "kid an address": lambda: with_header(kid="https://evil.example/jwks#k1"),
    "kid an injection": lambda: with_header(kid="k1' OR '1'='1"),
    "critical header": lambda: with_header(crit=["exp"]),
    "detached payload": lambda: with_header(b64=False),
    "header twice": lambda: signed(
        b'{"typ":"at+jwt","alg":"EdDSA","alg":"EdDSA","kid":"k1"}', json.dumps(claims()).encode()
    ),
    "claim twice": lambda: signed(
        HEADER, json.dumps(claims()).encode()[:-1] + b',"role":"admin"}'
    ),
    "claims a list": lambda: signed(HEADER, b"[]"),
    "claims not JSON": lambda: signed(HEADER, b"{"),
    "claims not UTF-8": lambda: signed(HEADER, b'{"a":"\xff"}'),
    "claims nested deep": lambda: signed(HEADER, b"[" * 700),
    "another claim": lambda: with_claims(scope="admin"),
    "issuer missing": lambda: with_claims(iss=None),
    "another issuer": lambda: with_claims(iss="https://evil.example"),
    "audience missing": lambda: with_claims(aud=None),
    "another audience": lambda: with_claims(aud="other"),
    "audience in a list": lambda: with_claims(aud=[AUDIENCE]),
    "exp missing": lambda: with_claims(exp=None),
    "exp a string": lambda: with_claims(exp="9999999999"),
    "exp a float": lambda: with_claims(exp=claims()["exp"] + 0.5),
    "exp true": lambda: with_claims(exp=True),
    "exp endless": lambda: signed(HEADER, json.dumps(claims()).replace(
        str(claims()["exp"]), "Infinity").encode()),
    "exp huge": lambda: with_claims(exp=10**30),
    "exp negative": lambda: with_claims(exp=-1),
    "exp null": lambda: signed(HEADER, json.dumps(claims()).replace(
        str(claims()["exp"]), "null").encode()),
    "not before": lambda: with_claims(nbf=0),
    "exp in a week": lambda: with_claims(exp=claims()["iat"] + 7 * 86400),
    "exp before iat": lambda: with_claims(iat=claims()["exp"] + 1),
    "iat missing": lambda: with_claims(iat=None),
    "iat in the future": lambda: with_claims(iat=claims()["iat"] + 300, exp=claims()["iat"] + 900),
    "sub missing": lambda: with_claims(sub=None),
    "sub not an id": lambda: with_claims(sub="admin"),
    "sub in another spelling": lambda: with_claims(sub=str(USER).upper() + " "),
    "sub a number": lambda: with_claims(sub=7),
    "sid a list": lambda: with_claims(sid=[str(SESSION)]),
    "sid missing": lambda: with_claims(sid=None),
    "role missing": lambda: with_claims(role=None),
    "role unknown": lambda: with_claims(role="root"),
    "role a list": lambda: with_claims(role=["admin"]),
    "64 KiB": lambda: with_claims(role="p" * 65_536),
    "exp twice": lambda: signed(HEADER, json.dumps(claims()).encode()[:-1] + b',"exp":9999999999}'),
    "too long": lambda: with_claims(role="p" * 2048),
    "a space around it": lambda: " " + with_claims(),
    "padding": lambda: with_claims() + "==",
}  # fmt: skip


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED.keys())
def test_a_forged_token_is_refused(forge: Callable[[], str]) -> None:
    with pytest.raises(InvalidToken):
        verifier().verify(forge())


@pytest.mark.parametrize("member", ["jku", "x5u"])
def test_no_address_in_a_token_is_called(member: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/keys"
        with pytest.raises(InvalidToken):
            verifier().verify(with_header(**{member: address}))
        with pytest.raises(BlockingIOError):
            listener.accept()


@given(st.data())
def test_no_change_of_one_character_survives(data: st.DataObject) -> None:
    subject = verifier()
    token, _ = subject.sign(USER, "patient", SESSION)
    place = data.draw(st.integers(0, len(token) - 1))
    character = data.draw(st.characters(codec="ascii").filter(lambda c: c != token[place]))
    with pytest.raises(InvalidToken):
        subject.verify(token[:place] + character + token[place + 1 :])


@given(st.text(max_size=300))
def test_any_text_is_refused_without_another_error(text: str) -> None:
    with pytest.raises(InvalidToken):
        verifier().verify(text)


def test_keys_are_read_from_pem_and_from_base64() -> None:
    raw = KEY.private_key.private_bytes_raw()
    pem = KEY.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for text in (base64.b64encode(raw).decode(), pem.decode()):
        assert tokens.signing_key("k", text).private_key.private_bytes_raw() == raw


def test_one_kid_for_two_keys_is_refused() -> None:
    with pytest.raises(ValueError, match="kid"):
        verifier(None, KEY, SigningKey("k1", STRANGER))


def test_a_session_id_is_a_uuid() -> None:
    token, _ = verifier().sign(USER, "staff", SESSION)
    assert isinstance(verifier().verify(token).session_id, UUID)
