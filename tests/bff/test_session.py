"""/api/session with the real sign-in behind it, as a browser uses it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import grpc
import httpx
import pytest

from bff.app import create_app
from bff.cookies import NAME, Cookies, Held
from bff.settings import Settings
from server.core.clock import MovableClock
from tests.auth.auth_client import PASSWORD, Auth
from tests.auth.conftest import auth, live, owner, passwords
from tests.factor.device import add_app
from tests.refusal import refused

__all__ = ["auth", "live", "owner", "passwords"]

HOME = "https://carelane.example"
KEY = "a key that seals cookies: 0123456789"
EXPIRED = timedelta(minutes=15)
LATE = timedelta(seconds=11)


class Counted:
    """A channel that counts the exchanges of refresh tokens, and holds them up when told to.

    They go to `away` where that is set.
    """

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self.exchanges = 0
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.away: Any = None

    def unary_unary(self, method: str, *args: Any, **options: Any) -> Any:
        call = self._channel.unary_unary(method, *args, **options)
        if not method.endswith("/RefreshToken"):
            return call

        async def exchange(*given: Any, **more: Any) -> Any:
            self.exchanges += 1
            self.begun.set()
            await self.go_on.wait()
            if self.away:
                return await self.away.unary_unary(method, *args, **options)(*given, **more)
            return await call(*given, **more)

        return exchange

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)


class Browser:
    """A browser with its cookies, on a page of the platform's own host."""

    def __init__(self, auth: Auth, web: httpx.AsyncClient, channel: Counted) -> None:
        self.auth, self.web, self.channel = auth, web, channel

    async def sign_in(self, email: str, password: str = PASSWORD) -> httpx.Response:
        answer = await self.web.post("/api/session", json={"email": email, "password": password})
        self.web.headers["X-CSRF-Token"] = answer.json().get("csrfToken", "")
        return answer

    @property
    def held(self) -> Held | None:
        value = self.web.cookies.get(NAME)
        return Cookies([KEY]).open(value) if value else None

    def later(self, step: timedelta) -> None:
        clock = self.auth.db.clock
        assert isinstance(clock, MovableClock)
        clock.advance(step)


@asynccontextmanager
async def opened(auth: Auth) -> AsyncIterator[Browser]:
    channel: Any = Counted(auth.channel)
    settings = Settings(_env_file=None, cookie_keys=KEY)
    app = create_app(channel, settings, clock=lambda: auth.db.clock.now().timestamp())
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url=HOME, headers={"Origin": HOME}
    ) as web:
        yield Browser(auth, web, channel)


@pytest.fixture
async def browser(auth: Auth) -> AsyncIterator[Browser]:
    async with opened(auth) as made:
        yield made


@pytest.fixture
async def live_browser(live: Auth, _still: None) -> AsyncIterator[Browser]:
    async with opened(live) as made:
        yield made


@pytest.fixture
def _still(live: Auth) -> Iterator[None]:
    """Put the clock that all tests share back where it was."""
    clock = live.db.clock
    assert isinstance(clock, MovableClock)
    offset = clock.offset
    yield
    clock.offset = offset


async def test_a_sign_in_leaves_its_tokens_in_a_cookie_that_no_page_reads(browser: Browser) -> None:
    email = await browser.auth.register()
    answer = await browser.sign_in(email)
    assert answer.status_code == 200
    assert set(answer.json()) == {"csrfToken", "user"}
    line = answer.headers["set-cookie"]
    assert line.startswith("__Host-carelane-session=")
    assert {"Path=/", "HttpOnly", "Secure", "SameSite=Strict"} <= set(line.split("; "))
    assert "Domain" not in line
    held = browser.held
    assert held
    assert held.access_token not in answer.text + line
    assert held.refresh_token not in answer.text + line
    days = int(line.partition("Max-Age=")[2]) / 86400
    assert 29.9 < days <= 30


async def test_after_a_reload_the_page_learns_who_it_is_and_its_csrf_token(
    browser: Browser,
) -> None:
    first = (await browser.sign_in(await browser.auth.register())).json()
    again = await browser.web.get("/api/session")
    assert again.json() == first
    assert again.headers["cache-control"] == "no-store"
    assert (await browser.web.get("/api/me")).json()["user"] == first["user"]


async def test_nobody_has_no_session(browser: Browser) -> None:
    answer = await browser.web.get("/api/session")
    assert (answer.status_code, answer.json()["reason"]) == (401, "UNAUTHENTICATED")


async def test_a_wrong_password_gives_no_cookie_and_leaves_the_one_that_is_there(
    browser: Browser,
) -> None:
    email = await browser.auth.register()
    answer = await browser.sign_in(email, "wrong")
    assert (answer.status_code, answer.json()["reason"]) == (401, "WRONG_CREDENTIALS")
    assert browser.held is None
    await browser.sign_in(email)
    held = browser.held
    assert (await browser.sign_in(email, "wrong")).status_code == 401
    assert browser.held == held


async def test_a_dead_cookie_keeps_nobody_from_signing_in(browser: Browser) -> None:
    browser.web.cookies.set(NAME, "dead", domain="carelane.example", path="/")
    assert (await browser.sign_in(await browser.auth.register())).status_code == 200
    assert (await browser.web.get("/api/session")).status_code == 200


async def test_a_second_factor_is_asked_for_before_there_is_a_cookie(browser: Browser) -> None:
    person = await browser.auth.person()
    app, _ = await add_app(browser.auth, person)
    first = await browser.sign_in(person.email)
    assert first.json()["csrfToken"] == ""
    assert "set-cookie" not in first.headers
    assert (await browser.web.get("/api/session")).status_code == 401
    pending = first.json()["secondFactor"]["pendingToken"]
    wrong = {"pendingToken": pending, "code": "000000"}
    assert (await browser.web.post("/api/session/complete", json=wrong)).status_code == 403
    assert browser.held is None
    right = {"pendingToken": pending, "code": app.code()}
    done = await browser.web.post("/api/session/complete", json=right)
    assert set(done.json()) == {"csrfToken", "user"}
    assert done.json()["csrfToken"]
    assert (await browser.web.get("/api/session")).json() == done.json()


async def test_the_second_step_is_for_pages_of_ours_too(browser: Browser) -> None:
    step = {"pendingToken": "x", "code": "123456"}
    evil = {"Origin": "https://evil.example"}
    answer = await browser.web.post("/api/session/complete", json=step, headers=evil)
    assert (answer.status_code, answer.json()["reason"]) == (403, "ORIGIN_REFUSED")


async def test_signing_out_ends_the_session_and_takes_the_cookie(browser: Browser) -> None:
    await browser.sign_in(await browser.auth.register())
    kept = browser.web.cookies.get(NAME)
    assert kept
    answer = await browser.web.delete("/api/session")
    assert answer.json() == {"endedCount": 1}
    assert browser.held is None
    browser.web.cookies.set(NAME, kept, domain="carelane.example", path="/")
    browser.later(EXPIRED)
    answer = await browser.web.get("/api/me")
    assert answer.status_code == 401
    assert browser.held is None


async def test_signing_out_needs_the_csrf_token(browser: Browser) -> None:
    await browser.sign_in(await browser.auth.register())
    answer = await browser.web.delete("/api/session", headers={"X-CSRF-Token": ""})
    assert (answer.status_code, answer.json()["reason"]) == (403, "CSRF_TOKEN_WRONG")
    assert (await browser.web.get("/api/session")).status_code == 200


async def test_signing_out_everywhere_ends_the_other_devices(browser: Browser) -> None:
    email = await browser.auth.register()
    other = await browser.auth.login(email)
    await browser.sign_in(email)
    answer = await browser.web.delete("/api/session", params={"all": "true"})
    assert answer.json() == {"endedCount": 2}
    refresh = browser.auth.RefreshToken(refresh_token=other.session.refresh_token)
    assert (await refused(refresh)).reason == "SESSION_ENDED"


async def test_tokens_are_exchanged_unseen_and_the_csrf_token_stays(browser: Browser) -> None:
    first = (await browser.sign_in(await browser.auth.register())).json()
    before = browser.held
    assert before
    for _ in range(3):
        browser.later(EXPIRED)
        assert (await browser.web.get("/api/session")).json() == first
    after = browser.held
    assert after
    assert after.session_id == before.session_id
    assert after.refresh_token != before.refresh_token
    assert browser.channel.exchanges == 3
    changed = await browser.web.patch("/api/me", json={"fullName": "Asha R."})
    assert changed.status_code == 200


async def test_all_requests_of_a_page_share_one_exchange(live_browser: Browser) -> None:
    browser = live_browser
    await browser.sign_in(await browser.auth.register())
    browser.later(EXPIRED)
    answers = await asyncio.gather(*(browser.web.get("/api/me") for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert browser.channel.exchanges == 1
    browser.later(LATE)
    assert (await browser.web.get("/api/me")).status_code == 200


async def test_processes_that_exchange_at_once_go_on_with_the_same_session(
    live_browser: Browser,
) -> None:
    await live_browser.sign_in(await live_browser.auth.register())
    async with opened(live_browser.auth) as other:
        other.web.cookies.update(live_browser.web.cookies)
        live_browser.later(EXPIRED)
        asked = [browser.web.get("/api/me") for browser in (live_browser, other) for _ in range(5)]
        assert {answer.status_code for answer in await asyncio.gather(*asked)} == {200}
        assert live_browser.channel.exchanges + other.channel.exchanges == 2
        assert live_browser.held
        assert other.held
        assert live_browser.held.refresh_token == other.held.refresh_token


async def test_an_exchange_goes_on_when_the_page_is_left(live_browser: Browser) -> None:
    browser = live_browser
    await browser.sign_in(await browser.auth.register())
    browser.later(EXPIRED)
    browser.channel.go_on.clear()
    leaving = asyncio.create_task(browser.web.get("/api/me"))
    await browser.channel.begun.wait()
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    next_page = asyncio.create_task(browser.web.get("/api/me"))
    await asyncio.sleep(0)
    browser.channel.go_on.set()
    assert (await next_page).status_code == 200
    assert browser.channel.exchanges == 1


async def test_a_copied_cookie_that_is_used_late_ends_the_session(browser: Browser) -> None:
    await browser.sign_in(await browser.auth.register())
    copied = browser.web.cookies.get(NAME)
    browser.later(EXPIRED)
    assert (await browser.web.get("/api/me")).status_code == 200
    browser.later(LATE)
    async with opened(browser.auth) as thief:
        thief.web.cookies.set(NAME, copied or "", domain="carelane.example", path="/")
        answer = await thief.web.get("/api/me")
        assert answer.status_code == 401
        assert thief.held is None
    browser.later(EXPIRED)
    assert (await browser.web.get("/api/me")).status_code == 401
    assert browser.held is None


async def test_a_server_that_is_away_costs_nobody_the_session(browser: Browser) -> None:
    await browser.sign_in(await browser.auth.register())
    browser.later(EXPIRED)
    browser.channel.away = grpc.aio.insecure_channel("127.0.0.1:1")
    answer = await browser.web.get("/api/me")
    await browser.channel.away.close()
    assert (answer.status_code, answer.json()["reason"]) == (503, "UNAVAILABLE")
    assert "set-cookie" not in answer.headers
    browser.channel.away = None
    assert (await browser.web.get("/api/me")).status_code == 200
