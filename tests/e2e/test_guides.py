"""What the guides tell a reader to type, typed."""

import asyncio
import json
import re
from pathlib import Path

import pytest

from tests.running import Up

ROOT = Path(__file__).resolve().parents[2]


def typed(guide: str, platform: Up) -> str:
    """Answer all shell commands of a guide, for this platform and a person of the guide's own."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs/guides" / guide).read_text(), re.DOTALL)
    commands = "\n".join(block for block in blocks if "npm install" not in block)
    return (
        commands.replace("http://127.0.0.1:8000", f"http://127.0.0.1:{platform.rest}")
        .replace("http://127.0.0.1:50051", f"http://127.0.0.1:{platform.grpc}")
        .replace("asha@mail.example", f"asha-{guide}@mail.example")
    )


@pytest.mark.parametrize("guide", ["web.md", "mobile.md"])
async def test_a_guide_books_a_visit_when_it_is_followed(guide: str, platform: Up) -> None:
    shell = await asyncio.create_subprocess_exec(
        *("bash", "-euo", "pipefail", "-c", typed(guide, platform)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, wrong = await shell.communicate()
    assert shell.returncode == 0, wrong
    [listed] = re.findall(rb'\{\s*"appointments".*', said, re.DOTALL)
    [visit] = json.loads(listed)["appointments"]
    assert visit["status"] == "APPOINTMENT_STATUS_BOOKED"
