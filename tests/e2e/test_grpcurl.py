"""The same journey by gRPC and reflection, with a tool that knows nothing of the contract."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.running import Up

BUF = Path(sys.executable).with_name("buf")
PASSWORD = "correct horse battery staple"


async def call(platform: Up, method: str, token: str = "", **body: Any) -> Any:
    """Call `carelane.<method>` as a person in a terminal does, and answer the JSON."""
    process = await asyncio.create_subprocess_exec(
        BUF,
        *("curl", "--protocol", "grpc", "--http2-prior-knowledge", "-d", json.dumps(body)),
        *(("-H", f"authorization: Bearer {token}") if token else ()),
        f"http://127.0.0.1:{platform.grpc}/carelane.{method}",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return json.loads(out or err)


async def test_a_patient_books_by_reflection(platform: Up) -> None:
    found = await call(
        platform,
        "directory.v1.DirectoryService/SearchDoctors",
        symptoms="skin rash",
        pageSize=1,
    )
    doctor_id = found["doctors"][0]["doctorId"]
    slots = await call(
        platform, "availability.v1.AvailabilityService/GetSlots", doctorId=doctor_id, days=14
    )
    email = f"{uuid4().hex}@mail.example"
    person = {"email": email, "password": PASSWORD}
    name = {"fullName": "Asha Rao", "role": "ROLE_PATIENT"}
    assert await call(platform, "auth.v1.AuthService/Register", **person, **name) == {}
    session = (await call(platform, "auth.v1.AuthService/Login", **person))["session"]
    token = session["accessToken"]
    booked = await call(
        platform,
        "appointment.v1.AppointmentService/BookAppointment",
        token,
        requestId=str(uuid4()),
        practiceId=slots["days"][0]["practiceId"],
        startTime=slots["days"][0]["slots"][0]["startTime"],
    )
    listed = await call(platform, "appointment.v1.AppointmentService/ListAppointments", token)
    assert listed["appointments"] == [booked["appointment"]]


async def test_a_refusal_names_the_field_in_a_terminal_too(platform: Up) -> None:
    refused = await call(platform, "availability.v1.AvailabilityService/GetSlots", doctorId="seven")
    assert refused["code"] == "invalid_argument"
    assert refused["message"] == "doctor_id must be a valid UUID."
