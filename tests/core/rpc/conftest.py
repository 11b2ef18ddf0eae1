"""A test service behind the guard, called through both channels."""

import asyncio
import importlib
import io
import sys
import tempfile
from collections.abc import AsyncIterator
from contextvars import ContextVar
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID

import grpc
import orjson
import pytest
from google.protobuf import descriptor_pb2
from grpc_tools import protoc
from prometheus_client import CollectorRegistry

from buf.validate import validate_pb2
from carelane.common.v1 import access_pb2
from server.core import errors, log, rpc
from server.core.access import Caller
from server.core.channel import InProcessChannel
from server.core.metrics import CallMetrics

PROTOS = f"{__file__.rsplit('/', 1)[0]}/protos"
PATIENT = Caller(UUID(int=1), "patient", UUID(int=101))
DOCTOR = Caller(UUID(int=2), "doctor", UUID(int=102))


class TokenExpired(errors.Unauthenticated):
    reason = "TOKEN_EXPIRED"


class Authority:
    """Knows tokens by heart; a test may take one away."""

    def __init__(self) -> None:
        self.callers = {"patient": PATIENT, "doctor": DOCTOR}
        self.asked = 0

    async def __call__(self, token: str) -> Caller:
        self.asked += 1
        if token == "broken":
            raise ConnectionError("secret of the authority")
        if token not in self.callers:
            raise TokenExpired
        return self.callers[token]


def _imported_files(descriptor: Any, found: dict[str, Any]) -> None:
    for dependency in descriptor.dependencies:
        _imported_files(dependency, found)
    found[descriptor.name] = descriptor


def _generated() -> tuple[ModuleType, ModuleType]:
    """Compile probe.proto; what it imports is taken from generated code that is there."""
    found: dict[str, Any] = {}
    for module in (validate_pb2, access_pb2):
        _imported_files(module.DESCRIPTOR, found)
    imports = descriptor_pb2.FileDescriptorSet()
    for descriptor in found.values():
        descriptor.CopyToProto(imports.file.add())
    with tempfile.TemporaryDirectory() as out:
        Path(out, "imports.bin").write_bytes(imports.SerializeToString())
        flags = [f"--descriptor_set_in={out}/imports.bin", f"-I{PROTOS}"]
        outs = [f"--python_out={out}", f"--grpc_python_out={out}"]
        assert protoc.main(["protoc", *flags, *outs, "probe/v1/probe.proto"]) == 0
        sys.path.insert(0, out)
        messages = importlib.import_module("probe.v1.probe_pb2")
        stubs = importlib.import_module("probe.v1.probe_pb2_grpc")
        sys.path.remove(out)
    return messages, stubs


pb, probe_grpc = _generated()


mood: ContextVar[str] = ContextVar("mood")


class SlotTaken(errors.AlreadyExists):
    reason = "SLOT_TAKEN"


class ProbeServicer(probe_grpc.ProbeServiceServicer):
    """Answers what the request asks for; `ended` tells how handlers ended."""

    def __init__(self) -> None:
        self.attempts = 0
        self.ended: list[str] = []
        self.begun = asyncio.Event()
        self.closed = asyncio.Event()
        self.read = 0

    async def Echo(self, request: Any, context: Any) -> Any:
        return await self._act(request)

    async def Private(self, request: Any, context: Any) -> Any:
        caller = rpc.caller()
        address = rpc.client_address()
        return pb.Probe(text=f"{caller.user_id} {caller.role} {rpc.request_id()} {address}")

    async def ForDoctors(self, request: Any, context: Any) -> Any:
        return request

    async def Count(self, request: Any, context: Any) -> AsyncIterator[Any]:
        self.begun.set()
        try:
            for number in range(request.number):
                yield pb.Probe(number=number, text=request.text)
            await self._act(request)
        except asyncio.CancelledError:
            self.ended.append("cancelled")
            raise
        finally:
            self.closed.set()

    async def Watch(self, request: Any, context: Any) -> None:
        await context.write(pb.Probe(text="open"))
        await self._hang()

    async def Collect(self, requests: Any, context: Any) -> Any:
        texts = []
        async for request in requests:
            self.read += 1
            await self._act(request)
            texts.append(request.text)
        return pb.Probe(text=",".join(texts), number=len(texts))

    async def Converse(self, requests: Any, context: Any) -> AsyncIterator[Any]:
        async for request in requests:
            self.read += 1
            yield await self._act(request)

    async def _act(self, request: Any) -> Any:
        act = getattr(self, f"_{request.act}", None)
        return await act() if act else request

    async def _hang(self) -> None:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.ended.append("cancelled")
            raise
        finally:
            self.closed.set()

    async def _tell_mood(self) -> Any:
        return pb.Probe(text=mood.get("none"))

    async def _pause(self) -> Any:
        await asyncio.sleep(0.05)
        return pb.Probe(text="paused")

    async def _taken(self) -> None:
        raise SlotTaken(metadata={"rule": "overlap"}, retry_after=1.5)

    async def _field(self) -> None:
        raise errors.InvalidField("rules[3].end", "must be after start")

    async def _crash(self) -> None:
        raise RuntimeError("the password of the database")

    async def _nothing(self) -> None:
        return None

    async def _wrong(self) -> Any:
        return pb.Part(name="x")

    async def _huge(self) -> Any:
        return pb.Probe(text="x" * 1_500_000)

    async def _give_up(self) -> None:
        raise asyncio.CancelledError

    async def _replayed(self) -> None:
        raise errors.Replay(pb.Probe(text="stored").SerializeToString())

    async def _serialise(self) -> None:
        self.attempts += 1
        raise errors.Serialization

    async def _serialise_twice(self) -> Any:
        self.attempts += 1
        if self.attempts < 3:
            raise errors.Serialization
        return pb.Probe(text="third time")

    async def _abort(self) -> None:
        raise errors.NotFound


@pytest.fixture(name="pb", scope="session")
def messages() -> ModuleType:
    """The generated messages of probe.v1."""
    return pb


@pytest.fixture(name="probe_grpc", scope="session")
def stubs() -> ModuleType:
    """The generated stubs of probe.v1."""
    return probe_grpc


@pytest.fixture(name="mood")
def mood_of_the_client() -> ContextVar[str]:
    """A context variable that a handler of the act `tell_mood` reads."""
    return mood


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
def logged() -> Any:
    """The log as a function that answers its lines."""
    stream = io.TextIOWrapper(io.BytesIO())

    def lines() -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in stream.buffer.getvalue().splitlines()]

    lines.stream = stream
    return lines


@pytest.fixture
def numbers() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def limits() -> rpc.Limits:
    return rpc.Limits(deadline=0.5, recheck=0.05, streams_per_caller=3, answer_bytes=1024 * 1024)


@pytest.fixture
def registry(
    authority: Authority, logged: Any, numbers: CollectorRegistry, limits: rpc.Limits
) -> rpc.Registry:
    return rpc.Registry(
        authority,
        logger=log.logger(stream=logged.stream),
        metrics=CallMetrics(numbers),
        limits=limits,
    )


@pytest.fixture
def servicer(registry: rpc.Registry) -> Any:
    made = ProbeServicer()
    probe_grpc.add_ProbeServiceServicer_to_server(made, registry)
    return made


@pytest.fixture(params=["grpc", "in-process"])
async def channel(
    request: pytest.FixtureRequest, registry: rpc.Registry, servicer: Any
) -> AsyncIterator[grpc.aio.Channel]:
    if request.param == "in-process":
        async with InProcessChannel(registry) as channel:
            yield channel
        return
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    registry.attach(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    await server.stop(None)


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> Any:
    return probe_grpc.ProbeServiceStub(channel)
