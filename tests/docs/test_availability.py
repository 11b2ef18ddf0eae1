"""The page on availability: what it names is there, and its examples come out as it says."""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import httpx
import pytest
from google.protobuf import descriptor_pool

from bff import log
from bff.app import create_app
from bff.routes import ROUTES
from bff.settings import Settings
from server.availability.hours import Rule, Window
from server.availability.slots import Refusal
from server.core.clock import MovableClock
from tests.world import World

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "availability.md").read_text()
RECORD = (DOCS / "decisions/0008-minutes.md").read_text()
PROTO = "\n".join(path.read_text() for path in (DOCS.parent / "proto/carelane").rglob("*.proto"))
KOCHI = ZoneInfo("Asia/Kolkata")
WEEKDAYS = tuple(Rule(day, Window(9 * 60, 13 * 60)) for day in range(1, 6))
# By heading: the calls that it names, and the lines of the example.
EXAMPLE = re.compile(
    r"^### ([^\n]+?): ([^\n]+)\n(?:(?!```|#)[^\n]+\n)*\n```http\n(.*?)```", re.MULTILINE | re.DOTALL
)
EXAMPLES = EXAMPLE.findall(PAGE)
CALL = re.compile(r"(\w+) (GET|POST|PUT|DELETE) (\S+)(?: (.*))?", re.DOTALL)
FREE = re.compile(r"free (\S+?)(?: at \{(\S+)\})?: (.+)")
WHY = re.compile(r"why (\S+?)(?: at \{(\S+)\})?(?: to (\w+))?: (\w+)")
MADE = re.compile(r"→ \{(\S+)\} = (\S+)")

Names = dict[str, str]
PEOPLE = {"staff", "asha", "ravi", "now"}


class Reader:
    """Follows an example: sends what it says, and looks at what it says comes out."""

    def __init__(
        self, web: httpx.AsyncClient, clock: MovableClock, names: Names, tokens: Names
    ) -> None:
        self.web = web
        self.clock = clock
        self.names = names
        self.tokens = tokens
        self.routes: set[str] = set()
        self.answer: Any = None

    async def follow(self, example: str) -> None:
        for line in lines(example):
            if not line.startswith("→"):
                self.done()
            await self.step(line)
        self.done()

    async def step(self, line: str) -> None:
        if found := CALL.fullmatch(line):
            await self.call(*found.groups())
        elif found := FREE.fullmatch(line):
            assert await self.free(*found.groups()[:2]) == found[3].replace("none", "").split()
        elif found := WHY.fullmatch(line):
            assert (line, await self.why(*found.groups()[:3])) == (line, found[4])
        elif found := MADE.fullmatch(line):
            self.names[found[1]] = self.made(found[2])
        elif line.startswith("→"):
            self.refused(*line.split()[1:])
        else:
            self.clock.set(instant(line.removeprefix("now ")))

    async def call(self, who: str, method: str, path: str, body: str | None) -> None:
        rpc = rpc_of(method, path)
        self.routes.add(rpc.name)
        asked = json.loads(self.named(body or "{}"))
        if "request_id" in rpc.input_type.fields_by_name:
            asked["requestId"] = str(uuid4())
        options: dict[str, Any] = {"json": asked}
        if method in {"GET", "DELETE"}:
            options = {"params": asked} if method == "DELETE" else {}
        self.answer = await self.send(who, method, self.named(path), **options)

    async def send(self, who: str | None, method: str, path: str, **options: Any) -> Any:
        headers = {"authorization": f"Bearer {self.tokens[who]}"} if who else {}
        return await self.web.request(method, path, headers=headers, **options)

    async def free(self, day: str, practice: str | None) -> list[str]:
        asked = {"practiceId": self.names[practice or "practice"], "fromDate": day, "days": "1"}
        answer = await self.send(
            None, "GET", self.named("/api/doctors/{doctor}/slots"), params=asked
        )
        slots = [slot for each in answer.json()["days"] for slot in each["slots"]]
        starts = (datetime.fromisoformat(slot["startTime"]).astimezone(KOCHI) for slot in slots)
        return [f"{start:%H:%M}" for start in starts]

    async def why(self, time: str, practice: str | None, who: str | None) -> str:
        path = f"/api/practices/{self.names[practice or 'practice']}/explanation"
        asked = {"startTime": instant(time).isoformat()}
        told = (await self.send(who, "GET", path, params=asked)).json()["explanation"]
        return "bookable" if told["bookable"] else told["rule"].removeprefix("BOOKING_RULE_")

    def made(self, path: str) -> str:
        """Look up a field of the answer, such as `removedSlots.8.startTime`."""
        found = self.answer.json()
        for name in path.split("."):
            found = found[int(name)] if name.isdigit() else found[name]
        return str(found)

    def refused(self, status: str, reason: str, rule: str = "") -> None:
        problem, self.answer = self.answer.json(), None
        assert (str(problem["status"]), problem["reason"]) == (status, reason)
        assert problem.get("metadata", {}).get("rule", "") == rule

    def done(self) -> None:
        """The call before was not refused."""
        assert self.answer is None or self.answer.is_success, self.answer.text

    def named(self, text: str) -> str:
        return re.sub(r"\{([a-z-]+)\}", lambda found: self.names[found[1]], text)


def lines(example: str) -> Iterator[str]:
    """Join what is indented to the line before, unless it says what came out."""
    return iter(re.sub(r"\n +(?![ →])", " ", example.strip()).replace("\n  →", "\n→").split("\n"))


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=KOCHI)


def rpc_of(method: str, path: str) -> Any:
    """Answer the RPC behind a path that has names in braces."""
    plain = re.sub(r"\{[^}]+\}", "{}", path.partition("?")[0])
    (rpc,) = {
        route.rpc
        for route in ROUTES
        if route.method == method and re.sub(r"\{[^}]+\}", "{}", route.path) == plain
    }
    return descriptor_pool.Default().FindMethodByName(rpc)


@pytest.fixture
async def reader(world: World, clock: MovableClock) -> Any:
    clock.set(instant("2026-06-01T08:00"))
    practice = await world.practice(rules=WEEKDAYS)
    other = await world.practice(doctor=practice.doctor, rules=WEEKDAYS)
    names = {
        "practice": practice.practice_id,
        "clinic": practice.clinic_id,
        "type": practice.visit_type_id,
        "other": other.practice_id,
        "other-clinic": other.clinic_id,
        "doctor": practice.doctor.user_id,
    }
    people = {"doctor": practice.doctor, "staff": practice.owner}
    people |= {name: await world.person() for name in ("asha", "ravi")}
    app = create_app(world.channel, Settings(_env_file=None), logger=log.logger("CRITICAL"))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://web.test"
    ) as web:
        tokens = {name: person.token for name, person in people.items()}
        yield Reader(web, clock, {name: str(each) for name, each in names.items()}, tokens)


@pytest.mark.parametrize(
    ("calls", "example"), [each[1:] for each in EXAMPLES], ids=[each[0] for each in EXAMPLES]
)
async def test_an_example_comes_out_as_the_page_says(
    reader: Reader, calls: str, example: str
) -> None:
    await reader.follow(example)
    assert reader.routes == set(re.findall(r"`(\w+)`", calls))


def test_every_rule_that_can_refuse_is_in_an_example() -> None:
    said = " ".join(example for _, _, example in EXAMPLES)
    assert [why.name for why in Refusal if why.name not in said] == []


def test_every_call_of_availability_is_in_an_example() -> None:
    shown = {name for _, calls, _ in EXAMPLES for name in re.findall(r"\w+", calls)}
    service = "carelane.availability.v1.AvailabilityService."
    calls = {route.rpc.removeprefix(service) for route in ROUTES if route.rpc.startswith(service)}
    assert calls - shown == {"GetSlots", "ExplainTime"}  # what `free` and `why` ask


def test_every_call_it_names_is_in_the_contract() -> None:
    named = set(re.findall(r"`([A-Z][A-Za-z]+)`", PAGE))
    assert len(named) > 20
    assert {name for name in named if f"rpc {name}(" not in PROTO} == set()


def test_every_field_it_names_is_in_the_contract() -> None:
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)*)`", PAGE)) - {"refusal", "visit"} - PEOPLE
    assert len(named) > 10
    assert {name for name in named if f" {name} = " not in PROTO} == set()


def test_every_rule_that_refuses_is_explained() -> None:
    assert [why.name for why in Refusal if why.name not in PAGE] == []


def test_every_page_and_file_it_names_is_there() -> None:
    links = [DOCS / link for link in re.findall(r"\]\(([\w./-]+\.md)\)", PAGE)]
    files = re.findall(r"`((?:server|tests)/[\w./]+)`", PAGE + RECORD)
    assert links
    assert len(files) > 3
    assert [path for path in (*links, *map(DOCS.parent.joinpath, files)) if not path.exists()] == []
