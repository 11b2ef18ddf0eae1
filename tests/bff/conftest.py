"""What tests of the BFF share: message types of every kind, a service, the application over it."""

import asyncio
import importlib
import io
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from uuid import UUID

import google.type
import grpc
import grpc_tools
import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_tools import protoc
from prometheus_client import CollectorRegistry

from bff import log as bff_log
from bff import serve
from bff.app import create_app
from bff.settings import Settings
from carelane.appointment.v1 import appointment_service_pb2 as pb
from carelane.appointment.v1 import appointment_service_pb2_grpc
from carelane.appointment.v1.appointment_pb2 import Appointment, AppointmentStatus
from carelane.availability.v1 import availability_service_pb2 as availability
from carelane.availability.v1 import availability_service_pb2_grpc
from carelane.directory.v1 import directory_service_pb2 as directory
from carelane.directory.v1 import directory_service_pb2_grpc
from server.core import errors, rpc
from server.core import log as server_log
from server.core.access import Caller
from server.core.channel import InProcessChannel
from server.core.metrics import CallMetrics

HERE = Path(__file__).parent
GOOGLE = Path(google.type.__path__[0]).parent.parent


def compile_kinds(folder: Path) -> dict[str, type[Message]]:
    """Compile kinds.proto into classes by message name, in the default pool."""
    image = folder / "kinds.binpb"
    bundled = Path(grpc_tools.__file__).parent / "_proto"
    command = [
        "protoc",
        f"-I{HERE}",
        f"-I{GOOGLE}",
        f"-I{bundled}",
        f"--descriptor_set_out={image}",
    ]
    assert protoc.main([*command, str(HERE / "kinds.proto")]) == 0
    files = descriptor_pb2.FileDescriptorSet.FromString(image.read_bytes())
    pool = descriptor_pool.Default()
    for file in files.file:
        for needed in file.dependency:
            importlib.import_module(f"{needed.removesuffix('.proto').replace('/', '.')}_pb2")
        pool.AddSerializedFile(file.SerializeToString())
    return {
        message.name: message_factory.GetMessageClass(
            pool.FindMessageTypeByName(f"{file.package}.{message.name}")
        )
        for file in files.file
        for message in file.message_type
    }


@pytest.fixture(scope="session")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, type[Message]]:
    """The classes of kinds.proto by message name."""
    return compile_kinds(tmp_path_factory.mktemp("kinds"))


class Clinic(
    appointment_service_pb2_grpc.AppointmentServiceServicer,
    availability_service_pb2_grpc.AvailabilityServiceServicer,
    directory_service_pb2_grpc.DirectoryServiceServicer,
):
    """A small service behind the real guard: remembers what it was asked, fails when told to."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.calls: list[dict[str, Any]] = []
        self.failure: Exception | None = None
        self.hang = False
        self.begun = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def _take(self, request: Any) -> None:
        self.asked.append(request)
        self.calls.append(
            {
                "user": rpc.caller().user_id,
                "request_id": rpc.request_id(),
                "address": rpc.client_address(),
            }
        )
        if self.failure:
            raise self.failure
        if self.hang:
            self.begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled.set()

    async def BookAppointment(
        self, request: pb.BookAppointmentRequest, context: object
    ) -> pb.BookAppointmentResponse:
        await self._take(request)
        booked = Appointment(
            appointment_id="0196f5c8-0000-7000-8000-000000000001",
            practice_id=request.practice_id,
            start_time=request.start_time,
            status=AppointmentStatus.APPOINTMENT_STATUS_BOOKED,
        )
        return pb.BookAppointmentResponse(appointment=booked)

    async def ListAppointments(
        self, request: pb.ListAppointmentsRequest, context: object
    ) -> pb.ListAppointmentsResponse:
        await self._take(request)
        return pb.ListAppointmentsResponse()

    async def CancelAppointment(
        self, request: pb.CancelAppointmentRequest, context: object
    ) -> pb.CancelAppointmentResponse:
        await self._take(request)
        return pb.CancelAppointmentResponse()

    async def ListDoctorAppointments(
        self, request: pb.ListDoctorAppointmentsRequest, context: object
    ) -> pb.ListDoctorAppointmentsResponse:
        await self._take(request)
        return pb.ListDoctorAppointmentsResponse()

    async def SearchDoctors(
        self, request: directory.SearchDoctorsRequest, context: object
    ) -> directory.SearchDoctorsResponse:
        await self._take(request)
        return directory.SearchDoctorsResponse()

    async def ListSpecialties(
        self, request: directory.ListSpecialtiesRequest, context: object
    ) -> directory.ListSpecialtiesResponse:
        await self._take(request)
        return directory.ListSpecialtiesResponse()

    async def UpsertDoctorProfile(
        self, request: directory.UpsertDoctorProfileRequest, context: object
    ) -> directory.UpsertDoctorProfileResponse:
        await self._take(request)
        return directory.UpsertDoctorProfileResponse()

    async def SetAvailability(
        self, request: availability.SetAvailabilityRequest, context: object
    ) -> availability.SetAvailabilityResponse:
        await self._take(request)
        return availability.SetAvailabilityResponse()


class HealthServicer(health_pb2_grpc.HealthServicer):
    """Answers the status that a test gives it."""

    def __init__(self) -> None:
        self.status = health_pb2.HealthCheckResponse.SERVING

    async def Check(self, request: Any, context: Any) -> Any:
        return health_pb2.HealthCheckResponse(status=self.status)


CALLERS = {
    "patient": Caller(UUID(int=1), "patient", UUID(int=101)),
    "doctor": Caller(UUID(int=2), "doctor", UUID(int=102)),
    "admin": Caller(UUID(int=3), "admin", UUID(int=103)),
}


async def authenticate(token: str) -> Caller:
    """Know the tokens by heart."""
    if token not in CALLERS:
        raise errors.Unauthenticated
    return CALLERS[token]


@pytest.fixture
def clinic() -> Clinic:
    """The service that the BFF calls."""
    return Clinic()


@pytest.fixture
def health() -> HealthServicer:
    """The health of the server that the BFF calls."""
    return HealthServicer()


@pytest.fixture
def logged() -> io.TextIOWrapper:
    """What the BFF logged."""
    return io.TextIOWrapper(io.BytesIO(), write_through=True)


@pytest.fixture
def registry(clinic: Clinic, health: HealthServicer) -> rpc.Registry:
    """The service behind the real guard."""
    registry = rpc.Registry(
        authenticate,
        logger=server_log.logger("ERROR", io.TextIOWrapper(io.BytesIO())),
        metrics=CallMetrics(CollectorRegistry()),
        trusted=(ip_network("127.0.0.1"),),
    )
    appointment_service_pb2_grpc.add_AppointmentServiceServicer_to_server(clinic, registry)
    availability_service_pb2_grpc.add_AvailabilityServiceServicer_to_server(clinic, registry)
    directory_service_pb2_grpc.add_DirectoryServiceServicer_to_server(clinic, registry)
    health_pb2_grpc.add_HealthServicer_to_server(health, registry)
    return registry


@asynccontextmanager
async def over_grpc(registry: rpc.Registry) -> AsyncIterator[grpc.aio.Channel]:
    """Open a channel to a gRPC server of this process."""
    server = grpc.aio.server()
    registry.attach(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    settings = Settings(_env_file=None, grpc_target=f"127.0.0.1:{port}")
    async with serve.connect(settings) as channel:
        yield channel
    await server.stop(0)


@pytest.fixture
async def channel(
    registry: rpc.Registry, request: pytest.FixtureRequest
) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to the service: in this process, or over gRPC where a test asks for that."""
    opened = over_grpc if getattr(request, "param", "") == "grpc" else InProcessChannel
    async with opened(registry) as channel:
        yield channel


@pytest.fixture
def settings() -> Settings:
    """Settings of a BFF behind one proxy, whatever the environment says."""
    return Settings(
        _env_file=None,
        environment="development",
        cors_origins=("https://app.example.com",),
        trusted_proxies=("10.0.0.0/8",),
    )


@pytest.fixture
def app(channel: grpc.aio.Channel, settings: Settings, logged: Any) -> FastAPI:
    """The application over the channel."""
    return create_app(channel, settings, logger=bff_log.logger("INFO", logged))


@pytest.fixture
async def web(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application, signed in as a patient, without a network between."""
    transport = httpx.ASGITransport(app, client=("203.0.113.9", 40000))
    headers = {"Authorization": "Bearer patient"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://bff", headers=headers
    ) as client:
        yield client


@pytest.fixture
async def address(app: FastAPI) -> AsyncIterator[tuple[str, int]]:
    """The host and port of the application behind its real HTTP server."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(serve.config(app, grace=1))
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        yield listening.getsockname()
        server.should_exit = True
        await serving
