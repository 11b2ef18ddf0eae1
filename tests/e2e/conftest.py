"""The whole platform as `carelane up` runs it, once for all tests here, and people who use it."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest

from launch.seed.people import DEMO_PASSWORD, DEMO_TOTP_SECRET
from server.factor import totp
from tests.running import READY, Up, up

PASSWORD = "correct horse battery staple"


_demo_headers: dict[str, dict[str, str]] = {}


class Visitor:
    """Somebody at the REST interface; signed in once `sign_in` was called."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._headers: dict[str, str] = {}

    async def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request, and answer whatever comes back."""
        return await self._http.request(method, path, headers=self._headers, **options)

    async def ask(self, method: str, path: str, status: int = 200, **options: Any) -> Any:
        """Send a request that must have the given status, and answer its JSON."""
        answer = await self.request(method, path, **options)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def get(self, path: str, **query: Any) -> Any:
        return await self.ask("GET", path, params=query)

    async def send(self, method: str, path: str, status: int = 200, **body: Any) -> Any:
        return await self.ask(method, path, status, json=body)

    async def register(self, role: str, name: str) -> str:
        """Register a new account, sign it in, and answer its address."""
        email = f"{uuid4().hex}@mail.example"
        person = {"email": email, "password": PASSWORD, "fullName": name, "role": role}
        await self.send("POST", "/api/auth/register", 202, **person)
        await self.sign_in(email)
        return email

    async def sign_in(self, email: str, password: str = PASSWORD, secret: str = "") -> None:
        """Sign in; `secret` is that of the account's authenticator app, if it has one."""
        answer = await self.send("POST", "/api/auth/login", email=email, password=password)
        if secret and (pending := answer.get("secondFactor")):
            token, code = pending["pendingToken"], totp.code(secret, datetime.now(UTC))
            step = "/api/auth/login/complete"
            answer = await self.send("POST", step, pendingToken=token, code=code)
        self._headers = {"authorization": f"Bearer {answer['session']['accessToken']}"}

    async def add_second_factor(self) -> None:
        """Add an authenticator app, as those who own a clinic must."""
        path = "/api/me/factors/totp"
        added = await self.send("POST", path, 201, name="Phone")
        code = totp.code(added["secret"], datetime.now(UTC))
        confirmed = {"factorId": added["factorId"], "code": code}
        await self.send("POST", f"{path}/confirm", **confirmed)

    @property
    def authorization(self) -> str:
        """The header's value, once signed in."""
        return self._headers["authorization"]

    async def sign_in_demo(self, who: str) -> None:
        """Sign in to a demo account, once a run: a code of the app works once in 30 seconds."""
        if who not in _demo_headers:
            email = f"{who}@demo.carelane.example"
            await self.sign_in(email, DEMO_PASSWORD, DEMO_TOTP_SECRET)
            _demo_headers[who] = self._headers
        self._headers = _demo_headers[who]


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A platform of its own, with a small demo world."""
    with up(tmp_path_factory.mktemp("platform") / "data") as running:
        running.until(READY)
        yield running
        assert running.stop() == 0


@pytest.fixture
async def http(platform: Up) -> AsyncIterator[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=200)
    address = f"http://127.0.0.1:{platform.rest}"
    async with httpx.AsyncClient(base_url=address, timeout=30, limits=limits) as client:
        yield client


@pytest.fixture
def visitor(http: httpx.AsyncClient) -> Visitor:
    return Visitor(http)
