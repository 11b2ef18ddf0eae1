"""What the guides tell a reader to type, typed."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

from bff.routes import ROUTES
from tests.e2e.conftest import Visitor
from tests.running import Up

DOCS = Path(__file__).resolve().parents[2] / "docs"


def commands(guide: str, platform: Up) -> str:
    """Answer all shell commands of a guide, for this platform and a person of the guide's own."""
    blocks = re.findall(r"```sh\n(.*?)```", (DOCS / "guides" / guide).read_text(), re.DOTALL)
    text = "\n".join(block for block in blocks if "npm install" not in block)
    return (
        text.replace("http://127.0.0.1:8000", f"http://127.0.0.1:{platform.rest}")
        .replace("http://127.0.0.1:50051", f"http://127.0.0.1:{platform.grpc}")
        .replace("asha@mail.example", f"asha-{guide}@mail.example")
    )


async def typed(guide: str, platform: Up) -> tuple[str, list[Any]]:
    """Type all commands of a guide; answer what is printed, and the JSON in it."""
    shell = await asyncio.create_subprocess_exec(
        *("bash", "-euo", "pipefail", "-c", commands(guide, platform)),
        cwd=DOCS.parent,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, wrong = await shell.communicate()
    assert shell.returncode == 0, wrong.decode()
    said = out.decode()
    answers = [*documents(said)]
    assert [answer for answer in answers if "reason" in answer] == []
    return said, answers


def documents(text: str) -> Any:
    """Find the JSON objects in a text, one after the other."""
    decoder, end = json.JSONDecoder(), 0
    while (start := text.find("{", end)) >= 0:
        found, end = decoder.raw_decode(text, start)
        yield found


def named(answers: list[Any], name: str) -> list[Any]:
    return [answer[name] for answer in answers if name in answer]


async def test_the_guide_for_the_web_follows_a_visit_to_its_end(platform: Up) -> None:
    said, answers = await typed("web.md", platform)
    [mine, of_the_child] = [each for each in named(answers, "appointments") if len(each) == 1]
    assert mine[0]["status"] == of_the_child[0]["status"] == "APPOINTMENT_STATUS_BOOKED"
    assert of_the_child[0]["patient"]["fullName"] == "Kiran Rao"
    assert [each["status"] for each in named(answers, "appointment")][-1] == (
        "APPOINTMENT_STATUS_CANCELLED"
    )
    assert [each["bookable"] for each in named(answers, "explanation")] == [False]
    assert [each["status"] for each in named(answers, "entry")] == ["WAITLIST_STATUS_LEFT"]
    assert "METHOD:CANCEL" in said
    assert "METHOD:PUBLISH" in said


async def test_the_guide_for_apps_follows_a_visit_to_its_end(platform: Up) -> None:
    said, answers = await typed("mobile.md", platform)
    [mine, family] = named(answers, "appointments")
    assert [visit["status"] for visit in mine] == ["APPOINTMENT_STATUS_BOOKED"]
    assert len(family) == 2
    assert "METHOD:CANCEL" in said


async def test_the_guide_for_tools_runs_a_day_at_the_clinic(platform: Up, visitor: Visitor) -> None:
    for who in ("admin", "clinic"):  # with earlier codes, if no test did so before
        await visitor.sign_in_demo(who)
    said, answers = await typed("tools.md", platform)
    assert "carelane.queue.v1.QueueService/CallNext" in said
    [late] = [each for each in named(answers, "queue") if each.get("lateMinutes")]
    waiting = [each for each in late.get("entries", []) if each["state"] == "QUEUE_STATE_EXPECTED"]
    assert waiting == []
    [explained] = named(answers, "explanation")
    assert explained["rule"] == "BOOKING_RULE_OFF_GRID"


def test_every_operation_that_the_pages_name_is_there() -> None:
    pages = [*DOCS.glob("*.md"), *DOCS.glob("guides/*.md")]
    text = "\n".join(page.read_text() for page in pages)
    found = set(re.findall(r"\b(GET|POST|PUT|PATCH|DELETE)\s+(/api/[\w/{}.-]+)", text))
    there = {(route.method, re.sub(r"{\w+}", "{}", route.path)) for route in ROUTES}
    assert len(found) > 25
    gone = {(how, path) for how, path in found if (how, re.sub(r"{\w+}", "{}", path)) not in there}
    assert gone == set()
