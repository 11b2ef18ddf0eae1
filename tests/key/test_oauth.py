"""POST /oauth/token: answers and errors of RFC 6749, so that any client library can use it."""

import base64
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote_plus
from uuid import uuid4

import httpx
import pytest

from bff.app import create_app
from bff.settings import Settings
from server.key.secret import new_secret
from tests.key.conftest import Keys, Program

FORM = {"grant_type": "client_credentials"}
UNKNOWN = "0196f5c8-aaaa-7000-8000-000000000001"


@pytest.fixture
async def http(keys: Keys) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the BFF over the world's services."""
    settings = Settings(_env_file=None, environment="development")
    clock = keys.world.db.clock
    app = create_app(keys.world.channel, settings, clock=lambda: clock.now().timestamp())
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://bff") as client:
        yield client


def basic(key_id: str, secret: str) -> dict[str, str]:
    pair = f"{quote_plus(key_id)}:{quote_plus(secret)}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


async def test_a_key_in_the_form_is_exchanged(keys: Keys, http: httpx.AsyncClient) -> None:
    made = await keys.make("schedule.read", "availability.read")
    client = {"client_id": made.key.key_id, "client_secret": made.secret}
    answer = await http.post("/oauth/token", data=FORM | client)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    said = answer.json()
    token = said.pop("access_token")
    assert 890 <= said.pop("expires_in") <= 900
    assert said == {"token_type": "Bearer", "scope": "availability.read schedule.read"}
    assert await keys.schedule(Program(uuid4(), "", token)) == []


async def test_a_key_in_the_header_is_exchanged_for_some_scopes(
    keys: Keys, http: httpx.AsyncClient
) -> None:
    made = await keys.make("schedule.read", "availability.read")
    answer = await http.post(
        "/oauth/token",
        data=FORM | {"scope": "availability.read"},
        headers=basic(made.key.key_id, made.secret),
    )
    assert (answer.status_code, answer.json()["scope"]) == (200, "availability.read")


@pytest.mark.parametrize(
    ("key_id", "secret"),
    [
        (UNKNOWN, new_secret()),
        ("client", "secret"),
        ("", ":"),
        ("a" * 2000, "b"),
        ("é", "ü"),
    ],
    ids=["unknown", "words", "empty", "long", "letters"],
)
@pytest.mark.parametrize("in_header", [True, False])
async def test_a_wrong_client_is_refused(
    http: httpx.AsyncClient, key_id: str, secret: str, in_header: bool
) -> None:
    sent: dict[str, Any] = {"data": FORM | {"client_id": key_id, "client_secret": secret}}
    if in_header:
        sent = {"data": FORM, "headers": basic(key_id, secret)}
    answer = await http.post("/oauth/token", **sent)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic ")
    assert answer.headers["cache-control"] == "no-store"


ONE = {"client_id": UNKNOWN, "client_secret": new_secret()}


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        (ONE, "invalid_request"),
        (ONE | {"grant_type": ""}, "invalid_request"),
        (ONE | {"grant_type": "password"}, "unsupported_grant_type"),
        (ONE | FORM | {"client_secret": "a" * 300}, "invalid_request"),
        (ONE | FORM | {"client_secret": "a\0b"}, "invalid_request"),
        (ONE | FORM | {"scope": "x " * 30}, "invalid_request"),
        (ONE | FORM | {"scope": ["a", "b"]}, "invalid_request"),
        (ONE | FORM | {f"field{number}": "x" for number in range(30)}, "invalid_request"),
    ],
    ids=["no grant", "empty grant", "password", "long", "NUL", "scopes", "twice", "many"],
)
async def test_a_wrong_form_is_refused(
    http: httpx.AsyncClient, fields: dict[str, Any], error: str
) -> None:
    answer = await http.post("/oauth/token", data=fields)
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert set(answer.json()) == {"error", "error_description"}


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"grant_type": "client_credentials"}', "application/json"),
        (b"grant_type=client_credentials", ""),
        (b"grant_type=\xff", "application/x-www-form-urlencoded"),
        (b"grant_type=%ff", "application/x-www-form-urlencoded"),
    ],
)
async def test_what_is_no_form_is_refused(http: httpx.AsyncClient, body: bytes, kind: str) -> None:
    headers = {"Content-Type": kind} if kind else {}
    answer = await http.post("/oauth/token", content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_a_client_says_once_who_it_is(keys: Keys, http: httpx.AsyncClient) -> None:
    made = await keys.make()
    header = basic(made.key.key_id, made.secret)
    for more in ({"client_secret": made.secret}, {"client_id": str(uuid4())}):
        answer = await http.post("/oauth/token", data=FORM | more, headers=header)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    twice = [*header.items(), *header.items()]
    answer = await http.post("/oauth/token", data=FORM, headers=twice)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_another_scope_is_refused(keys: Keys, http: httpx.AsyncClient) -> None:
    made = await keys.make("schedule.read")
    header = basic(made.key.key_id, made.secret)
    answer = await http.post("/oauth/token", data=FORM | {"scope": "audit.read"}, headers=header)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")


async def test_too_many_guesses_are_told_when_to_come_back(
    keys: Keys, http: httpx.AsyncClient
) -> None:
    made = await keys.make()
    for _ in range(10):
        await http.post("/oauth/token", data=FORM, headers=basic(made.key.key_id, new_secret()))
    header = basic(made.key.key_id, made.secret)
    answer = await http.post("/oauth/token", data=FORM, headers=header)
    assert (answer.status_code, answer.json()["error"]) == (429, "temporarily_unavailable")
    assert int(answer.headers["retry-after"]) > 0
    keys.world.db.clock.advance(timedelta(minutes=15))  # type: ignore[attr-defined]
    assert (await http.post("/oauth/token", data=FORM, headers=header)).status_code == 200


async def test_other_methods_are_refused(http: httpx.AsyncClient) -> None:
    assert (await http.get("/oauth/token")).status_code == 405


async def test_keys_are_kept_over_rest(keys: Keys, http: httpx.AsyncClient) -> None:
    header = {"Authorization": f"Bearer {keys.at.owner.token}"}
    new = {"clinicId": str(keys.at.clinic_id), "name": "Desk", "scopes": ["schedule.read"]}
    made = await http.post("/api/keys", json=new | {"requestId": str(uuid4())}, headers=header)
    assert made.status_code == 201
    path = f"/api/keys/{made.json()['key']['keyId']}"
    once = {"requestId": str(uuid4()), "overlapMinutes": 5}
    rotated = await http.post(f"{path}/rotate", json=once, headers=header)
    assert rotated.json()["secret"].startswith("carelane_key_")
    asked = {"keyId": made.json()["key"]["keyId"], "secret": made.json()["secret"]}
    assert (await http.post("/api/keys/token", json=asked)).status_code == 200
    once = {"requestId": str(uuid4())}
    assert (await http.post(f"{path}/revoke", json=once, headers=header)).status_code == 200
    listed = await http.get(f"/api/keys?clinicId={keys.at.clinic_id}", headers=header)
    assert [key["keyId"] for key in listed.json()["keys"]] == [asked["keyId"]]
    assert len((await http.get("/api/keys/scopes", headers=header)).json()["scopes"]) == 5
