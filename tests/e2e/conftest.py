"""The whole platform as `carelane up` runs it, once for all tests here, and people who use it."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import httpx
import pytest

from launch.seed.people import DEMO_PASSWORD, DEMO_TOTP_SECRET
from server.factor import totp
from tests.running import READY, Up, up

PASSWORD = "correct horse battery staple"
DAYS = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")


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

    async def make(self, path: str, status: int = 201, **body: Any) -> Any:
        """Send a change that nobody has sent before, as POST."""
        return await self.send("POST", path, status, requestId=str(uuid4()), **body)

    async def put(self, path: str, **body: Any) -> Any:
        return await self.send("PUT", path, requestId=str(uuid4()), **body)

    async def refused(self, path: str, **body: Any) -> str:
        """Send a change that must be refused, and answer why: status and reason."""
        body["requestId"] = str(uuid4())
        answer = await self.request("POST", path, json=body)
        return f"{answer.status_code} {answer.json().get('reason', 'not refused')}"

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
            answer = await self._complete(pending["pendingToken"], secret)
        self._headers = {"authorization": f"Bearer {answer['session']['accessToken']}"}

    async def _complete(self, token: str, secret: str) -> Any:
        """Prove the second factor with the code before the present one, which a guide may use."""
        for _ in range(2):  # between the code and its check a new half minute may begin
            code = totp.code(secret, datetime.now(UTC) - timedelta(seconds=totp.PERIOD))
            sent = {"pendingToken": token, "code": code}
            answer = await self._http.post("/api/auth/login/complete", json=sent)
            if answer.status_code == 200:
                return answer.json()
        raise AssertionError(answer.text)

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


@dataclass(frozen=True, slots=True)
class Practice:
    """A verified doctor with a clinic of their own, open day and night."""

    doctor: Visitor
    doctor_id: str
    practice_id: str
    clinic_id: str
    currency: str

    async def slots(self, visitor: Visitor, **query: Any) -> list[str]:
        """Answer the starts that somebody is offered, in order."""
        found = await visitor.get(f"/api/doctors/{self.doctor_id}/slots", **query)
        return [slot["startTime"] for day in found["days"] for slot in day["slots"]]

    async def take(self, patient: Visitor, start: str, **body: Any) -> Any:
        """Book a time here, and answer the appointment."""
        asked = {"practiceId": self.practice_id, "startTime": start} | body
        return (await patient.make("/api/appointments", **asked))["appointment"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let one process run all tests here, since one platform is enough."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("platform"))


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


@pytest.fixture
async def practice(http: httpx.AsyncClient) -> Practice:
    """A practice in a city where midnight is hours away."""
    india = 2 <= datetime.now(ZoneInfo("Asia/Kolkata")).hour < 22
    city, currency = ("bengaluru", "INR") if india else ("london", "GBP")
    doctor, admin = Visitor(http), Visitor(http)
    await doctor.register("ROLE_DOCTOR", f"Dr. Tara {uuid4().hex[:8]}")
    made = await doctor.make(
        "/api/doctor/profile",
        200,
        fullName="Dr. Tara Menon",
        specialties=["cardiology"],
        qualifications="MBBS, MD",
        practisingSince=2012,
        languages=["en"],
        licenceNumber=f"KMC-{uuid4().hex[:8]}",
        licenceCouncil="Medical Council",
        licenceYear=2012,
        newClinic={"name": "Tara Heart Clinic", "address": "4 High Street", "city": city},
        fee={"currencyCode": currency, "units": "700"},
    )
    found = made["profile"]["doctor"]
    await admin.sign_in_demo("admin")
    await admin.put(
        f"/api/admin/doctors/{found['doctorId']}/verify", decision="VERIFICATION_DECISION_APPROVE"
    )
    [where] = found["practices"]
    await doctor.put("/api/doctor/availability", rules=[open_on(day) for day in DAYS])
    ids = found["doctorId"], where["practiceId"], where["clinic"]["clinicId"]
    return Practice(doctor, *ids, currency)


def open_on(day: str, start: int = 0, end: int = 0) -> dict[str, Any]:
    """Answer a weekly rule by full hours; 0 to 0 is the whole day."""
    return {"dayOfWeek": day, "window": {"start": {"hours": start}, "end": {"hours": end}}}
