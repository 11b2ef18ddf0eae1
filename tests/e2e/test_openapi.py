"""The REST interface against its own description, by schemathesis: as nobody and as everybody."""

import asyncio
import os
import sys
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import Visitor
from tests.running import Up

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_headers_conformance,response_schema_conformance"
)
DEEP = os.environ.get("CARELANE_TEST_COUNTS") == "deep"
EXAMPLES, PHASES = ("6", "examples,coverage,fuzzing") if DEEP else ("1", "examples,fuzzing")
# They end the session or the account that the other calls need.
ENDS_SESSION = {
    *("/api/auth/login", "/api/auth/logout", "/api/me/password", "/api/me"),
    *("/api/me/sessions/{sessionId}", "/api/me/factors/{factorId}"),
}
# What the description of an operation says whom it is for; nobody asks for everything.
MAY = {"": "", "patient": "patients", "doctor": "doctors", "clinic": "staff", "admin": "administr"}


async def left_out(http: httpx.AsyncClient, who: str) -> list[str]:
    """Answer the operations that somebody skips: in the short form also those they may not use."""
    paths = (await http.get("/openapi.json")).json()["paths"]
    skipped = []
    for path, operations in paths.items():
        for operation in operations.values():
            audience = operation["description"].rpartition("\n\nFor ")[2].partition(" RPC ")[0]
            theirs = DEEP or MAY[who] in audience or "signed in" in audience
            if who and (path in ENDS_SESSION or not theirs):
                skipped.append(operation["operationId"])
    return skipped


@pytest.mark.parametrize("who", MAY)
async def test_no_defect_and_no_status_that_is_not_described(
    platform: Up, http: httpx.AsyncClient, tmp_path: Path, who: str
) -> None:
    options = []
    for operation in await left_out(http, who):
        options += ["--exclude-operation-id", operation]
    if who:
        visitor = Visitor(http)
        await visitor.sign_in_demo(who)
        options += ["--header", f"Authorization: {visitor.authorization}"]
    process = await asyncio.create_subprocess_exec(
        SCHEMATHESIS,
        *("run", f"http://127.0.0.1:{platform.rest}/openapi.json"),
        *("--checks", CHECKS, "--max-examples", EXAMPLES, "--phases", PHASES),
        *("--no-color", "--no-shrink", "--suppress-health-check", "all"),
        *options,
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()[-6000:]
