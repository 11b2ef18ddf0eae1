"""Requests with the cookie of a session: what else they need, and what a dead one is worth."""

import time
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from pydantic import SecretStr

from bff.cookies import NAME, Cookies, Held
from bff.settings import Settings
from carelane.queue.v1 import queue_service_pb2_grpc
from server.core import rpc
from tests.bff.conftest import Clinic
from tests.bff.test_events import Queue, data, late, parts

KEY, OLDER_KEY = "a key that seals cookies, 0123456789", "the key of the year before, 987654321"
SESSION = str(UUID(int=101))
ORIGIN = "https://app.example.com"
BOOKING = {
    "requestId": str(uuid4()),
    "practiceId": str(uuid4()),
    "startTime": "2030-01-31T03:30:00Z",
}
COOKIES = Cookies([KEY])
TOKEN = COOKIES.csrf_token(SESSION)


@pytest.fixture
def settings() -> Settings:
    return Settings(
        _env_file=None,
        cors_origins=(ORIGIN,),
        cookie_keys=(SecretStr(KEY), SecretStr(OLDER_KEY)),
    )


@pytest.fixture
def web(web: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client that sends no token."""
    del web.headers["Authorization"]
    return web


def cookie(who: str = "patient", cookies: Cookies = COOKIES) -> dict[str, str]:
    """Answer the header of somebody who has signed in."""
    end = int(time.time()) + 900
    return {"Cookie": f"{NAME}={cookies.seal(Held(SESSION, who, end, 'refresh', end))}"}


def browser(**changed: str | None) -> dict[str, str]:
    """Answer what a page of ours sends; a header that is None is left out."""
    usual = cookie() | {"Origin": ORIGIN, "X-CSRF-Token": TOKEN}
    given = usual | {name.replace("_", "-"): value for name, value in changed.items()}
    return {name: value for name, value in given.items() if value is not None}


def is_cleared(answer: httpx.Response) -> bool:
    return answer.headers.get("set-cookie", "").startswith(f"{NAME}=; ")


@pytest.mark.parametrize(
    "from_us",
    [
        {"Origin": ORIGIN, "Sec_Fetch_Site": "same-site"},
        {"Origin": "http://bff", "Sec_Fetch_Site": "same-origin"},
        {"Origin": "http://bff"},
        {"Origin": None, "Sec_Fetch_Site": "same-origin"},
    ],
)
async def test_a_change_by_a_page_of_ours_acts_as_who_signed_in(
    web: httpx.AsyncClient, clinic: Clinic, from_us: dict[str, Any]
) -> None:
    answer = await web.post("/api/appointments", json=BOOKING, headers=browser(**from_us))
    assert answer.status_code == 200 + 1
    assert clinic.calls[0]["user"] == UUID(int=1)
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "foreign",
    [
        {"Origin": None},
        {"Origin": "null"},
        {"Origin": "https://evil.example"},
        {"Origin": "https://app.example.com.evil.example"},
        {"Origin": "http://bff:3000", "Sec_Fetch_Site": "same-site"},
        {"Origin": "http://bff", "Sec_Fetch_Site": "cross-site"},
        {"Origin": "bff"},
        {"Origin": None, "Sec_Fetch_Site": "same-site"},
        {"Origin": None, "Sec_Fetch_Site": "none"},
        {"Origin": None, "Sec_Fetch_Site": "cross-site"},
    ],
)
async def test_a_change_by_a_page_of_others_is_refused(
    web: httpx.AsyncClient, clinic: Clinic, foreign: dict[str, Any]
) -> None:
    for method, path in (("POST", "/api/appointments"), ("POST", "/api/session")):
        answer = await web.request(method, path, json=BOOKING, headers=browser(**foreign))
        assert (answer.status_code, answer.json()["reason"]) == (403, "ORIGIN_REFUSED")
    assert clinic.asked == []


@pytest.mark.parametrize(
    "token", [None, "", TOKEN[:-1], TOKEN + "=", COOKIES.csrf_token(str(UUID(int=102))), "é"]
)
async def test_a_change_needs_the_csrf_token_of_its_session(
    web: httpx.AsyncClient, clinic: Clinic, token: str | None
) -> None:
    headers = [(k.encode(), v.encode()) for k, v in browser(X_CSRF_Token=token).items()]
    for more in ([], [(b"x-csrf-token", (token or "").encode())] * 2):
        answer = await web.post("/api/appointments", json=BOOKING, headers=headers + more)
        assert (answer.status_code, answer.json()["reason"]) == (403, "CSRF_TOKEN_WRONG")
    assert clinic.asked == []


async def test_what_only_reads_needs_the_cookie_alone(
    web: httpx.AsyncClient, clinic: Clinic
) -> None:
    answer = await web.get("/api/appointments", headers=cookie())
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert clinic.calls[0]["user"] == UUID(int=1)


async def test_programs_with_a_token_need_neither(web: httpx.AsyncClient, clinic: Clinic) -> None:
    bearer = {"Authorization": "Bearer patient", "Origin": "https://evil.example"}
    answer = await web.post("/api/appointments", json=BOOKING, headers=bearer)
    assert answer.status_code == 201
    assert clinic.calls[0]["user"] == UUID(int=1)


@pytest.mark.parametrize(("method", "path"), [("GET", "/api/doctors"), ("POST", "/api/auth/login")])
async def test_a_cookie_and_a_token_together_are_refused(
    web: httpx.AsyncClient, clinic: Clinic, method: str, path: str
) -> None:
    both = browser(Authorization="Bearer patient")
    answer = await web.request(method, path, headers=both)
    assert (answer.status_code, answer.json()["reason"]) == (400, "TWO_CREDENTIALS")
    assert clinic.asked == []


async def test_the_session_takes_no_token(web: httpx.AsyncClient) -> None:
    answer = await web.get("/api/session", headers={"Authorization": "Bearer patient"})
    assert (answer.status_code, answer.json()["reason"]) == (400, "TWO_CREDENTIALS")


def damaged() -> list[str]:
    value = cookie()["Cookie"].partition("=")[2]
    other = cookie(cookies=Cookies(["k" * 40]))["Cookie"].partition("=")[2]
    insecure = Cookies([KEY], insecure=True).seal(Held("s", "patient", 2**40, "r", 2**40))
    bare = [value[:40] + "A" + value[41:], value[:-4], value[4:], value + "AAAA"]
    return [*bare, other, insecure, "", "x", "patient", "=", "é", "A" * 9000]


@pytest.mark.parametrize("value", damaged(), ids=range(len(damaged())))
async def test_a_cookie_that_is_not_ours_counts_as_none_and_is_taken_away(
    web: httpx.AsyncClient, clinic: Clinic, value: str
) -> None:
    header = {"Cookie": f"{NAME}={value}".encode()}
    public = await web.get("/api/doctors", headers=header)
    assert (public.status_code, is_cleared(public)) == (200, True)
    assert clinic.calls[0]["user"] is None
    own = await web.get("/api/appointments", headers=header)
    assert (own.status_code, is_cleared(own)) == (401, True)


def test_only_the_exception_for_plain_http_lacks_the_prefix_and_secure() -> None:
    held = Held(SESSION, "access", 2**31, "refresh", 2**31)
    usual, exception = (
        Cookies([KEY], insecure=insecure).header(held, 2**31 - 60).decode()
        for insecure in (False, True)
    )
    assert usual.startswith("__Host-carelane-session=")
    assert usual.endswith("; Path=/; HttpOnly; SameSite=Strict; Secure; Max-Age=60")
    assert exception.startswith("carelane-session=")
    assert exception.endswith("; Path=/; HttpOnly; SameSite=Strict; Max-Age=60")


async def test_what_an_older_key_sealed_is_opened(web: httpx.AsyncClient, clinic: Clinic) -> None:
    older = Cookies([OLDER_KEY])
    headers = browser(X_CSRF_Token=older.csrf_token(SESSION)) | cookie(cookies=older)
    answer = await web.post("/api/appointments", json=BOOKING, headers=headers)
    assert answer.status_code == 201


async def test_other_cookies_are_of_no_interest(web: httpx.AsyncClient, clinic: Clinic) -> None:
    for line in ("theme=dark", "carelane-session=x", f"x{NAME}=x", ";;=; =", "é"):
        answer = await web.get("/api/doctors", headers={"Cookie": line.encode()})
        assert answer.status_code == 200
        assert "set-cookie" not in answer.headers
    among = {"Cookie": f"theme=dark; {cookie()['Cookie']}; a=b"}
    assert (await web.get("/api/appointments", headers=among)).status_code == 200


async def test_a_session_that_the_server_refuses_is_taken_away(web: httpx.AsyncClient) -> None:
    answer = await web.get("/api/appointments", headers=cookie("somebody who is out"))
    assert (answer.status_code, is_cleared(answer)) == (401, True)


async def test_an_answer_that_sets_a_cookie_is_kept_by_nobody(web: httpx.AsyncClient) -> None:
    plain = await web.get("/api/specialties")
    assert "public" in plain.headers["cache-control"]
    dead = await web.get("/api/specialties", headers={"Cookie": f"{NAME}=x"})
    assert (dead.headers["cache-control"], is_cleared(dead)) == ("no-store", True)


async def test_only_exact_origins_may_send_cookies(web: httpx.AsyncClient) -> None:
    ask = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type, x-csrf-token",
    }
    ours = await web.options("/api/session", headers={"Origin": ORIGIN, **ask})
    assert ours.status_code == 200
    assert ours.headers["access-control-allow-origin"] == ORIGIN
    assert ours.headers["access-control-allow-credentials"] == "true"
    for origin in ("https://evil.example", "null", "https://sub.app.example.com"):
        answer = await web.get("/api/appointments", headers=cookie() | {"Origin": origin})
        assert "access-control-allow-origin" not in answer.headers
    answer = await web.get("/api/appointments", headers=cookie() | {"Origin": ORIGIN})
    assert answer.headers["access-control-allow-origin"] == ORIGIN


async def test_a_stream_takes_the_cookie(registry: rpc.Registry, address: tuple[str, int]) -> None:
    queue = Queue()
    queue_service_pb2_grpc.add_QueueServiceServicer_to_server(queue, registry)
    queue.put(late(5), None)
    base = "http://{}:{}".format(*address)
    async with (
        httpx.AsyncClient(base_url=base, headers=cookie("doctor")) as web,
        web.stream("GET", f"/api/queues/{uuid4()}/live") as answer,
    ):
        assert answer.status_code == 200
        assert [data(part)["change"]["lateMinutes"] async for part in parts(answer)] == [5]


async def test_neither_cookies_nor_tokens_are_logged(
    web: httpx.AsyncClient, clinic: Clinic, logged: Any
) -> None:
    await web.post("/api/appointments", json=BOOKING, headers=browser())
    said = logged.buffer.getvalue().decode()
    assert "/api/appointments" in said
    assert not [secret for secret in (TOKEN, NAME, "refresh") if secret in said]
