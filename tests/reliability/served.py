"""The server as a process of its own, and people who sign in and book there over gRPC."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import grpc

from carelane.appointment.v1 import appointment_service_pb2 as appointment_pb
from carelane.appointment.v1 import appointment_service_pb2_grpc as appointment_grpc
from carelane.auth.v1 import auth_service_pb2 as auth_pb
from carelane.auth.v1 import auth_service_pb2_grpc as auth_grpc
from carelane.auth.v1 import user_pb2
from launch.ports import free_port
from server.core.wire import from_time
from tests.reliability.history import Book
from tests.world import Person, PracticeOf

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "correct horse battery"
SECRET = "a key of the tests that is long enough to be one"
# A server that went away is looked for again at once.
OPTIONS = (("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 100))


@dataclass(frozen=True)
class Signed(Person):
    """Somebody with an account at the server; known in this process, too."""

    access_token: str


class Server:
    """`python -m server` at one address, as often as it is started."""

    def __init__(self, dsn: str) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self._environment = {
            **os.environ,
            "DATABASE_URL": dsn,
            "GRPC_ADDRESS": self.address,
            "SECRET_KEYS": SECRET,
            "LOG_LEVEL": "ERROR",
        }
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it, and return when it answers."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "server", cwd=ROOT, env=self._environment
        )
        async with self.channel() as channel:
            jwks = auth_grpc.AuthServiceStub(channel).GetJwks
            await jwks(auth_pb.GetJwksRequest(), wait_for_ready=True, timeout=30)

    async def end(self, number: signal.Signals = signal.SIGKILL) -> int:
        """Send it a signal, and answer how it ended."""
        if self._process is None:
            return 0
        if self._process.returncode is None:
            self._process.send_signal(number)
        return await self._process.wait()

    def channel(self) -> grpc.aio.Channel:
        return grpc.aio.insecure_channel(self.address, options=OPTIONS)


@asynccontextmanager
async def running(dsn: str) -> AsyncIterator[Server]:
    """Run a server, and leave none behind."""
    server = Server(dsn)
    try:
        await server.start()
        yield server
    finally:
        await server.end()


async def sign_in(channel: grpc.aio.Channel) -> Signed:
    """Register a patient and sign them in."""
    stub, email = auth_grpc.AuthServiceStub(channel), f"{uuid4().hex}@mail.example"
    person = {"email": email, "password": PASSWORD}
    about = {"full_name": "Asha Rao", "role": user_pb2.ROLE_PATIENT}
    await stub.Register(auth_pb.RegisterRequest(**person, **about))
    answer = await stub.Login(auth_pb.LoginRequest(**person))
    return Signed(UUID(answer.user.user_id), "patient", answer.session.access_token)


def booking_at(channel: grpc.aio.Channel, practice: PracticeOf) -> Book:
    """Answer what books at a practice over gRPC, in the name of whom a token is."""
    call = appointment_grpc.AppointmentServiceStub(channel).BookAppointment

    async def book(person: Signed, request_id: UUID, start: datetime) -> Any:
        request = appointment_pb.BookAppointmentRequest(
            request_id=str(request_id),
            practice_id=str(practice.practice_id),
            start_time=from_time(start),
        )
        metadata = (("authorization", f"Bearer {person.access_token}"),)
        return (await call(request, metadata=metadata, timeout=5)).appointment

    return book
