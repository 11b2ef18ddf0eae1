"""gRPC by reflection, with a tool that knows nothing of the contract; the guides book with it."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from tests.running import Up

BUF = Path(sys.executable).with_name("buf")


async def call(platform: Up, method: str, **body: Any) -> Any:
    """Call `carelane.<method>` as a person in a terminal does, and answer the JSON."""
    process = await asyncio.create_subprocess_exec(
        BUF,
        *("curl", "--protocol", "grpc", "--http2-prior-knowledge", "-d", json.dumps(body)),
        f"http://127.0.0.1:{platform.grpc}/carelane.{method}",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return json.loads(out or err)


async def test_a_refusal_names_the_field_in_a_terminal_too(platform: Up) -> None:
    refused = await call(platform, "availability.v1.AvailabilityService/GetSlots", doctorId="seven")
    assert refused["code"] == "invalid_argument"
    assert refused["message"] == "doctor_id must be a valid UUID."
