"""A stop loses no call that was taken, and TLS lets in whom it should."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import CollectorRegistry

from server.app import App
from server.core import log, rpc
from server.core.access import ANONYMOUS, Caller
from server.core.errors import Unavailable
from server.core.metrics import CallMetrics
from server.health import Health
from server.serve import listening
from server.settings import Settings
from tests.authority import Authority

CHECK = health_pb2.HealthCheckRequest()


class SlowDatabase:
    """A database that lets a health check wait until `answer` is set."""

    def __init__(self) -> None:
        self.answer = asyncio.Event()
        self.answer.set()
        self.failure: Exception | None = None

    async def one(self, _statement: object) -> None:
        await self.answer.wait()
        if self.failure:
            raise self.failure


class SlowHealth(health_pb2_grpc.HealthServicer):
    """Answers Check once it is told to."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()

    async def Check(self, request: Any, context: Any) -> health_pb2.HealthCheckResponse:
        self.begun.set()
        await self.go_on.wait()
        return health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)


async def nobody(_token: str) -> Caller:
    return ANONYMOUS


def an_app(servicer: health_pb2_grpc.HealthServicer, **settings: Any) -> App:
    logger = log.logger("ERROR")
    registry = rpc.Registry(nobody, logger=logger, metrics=CallMetrics(CollectorRegistry()))
    health_pb2_grpc.add_HealthServicer_to_server(servicer, registry)
    parts = SimpleNamespace(settings=Settings(grpc_address="127.0.0.1:0", **settings))
    return App(parts, registry, Health(SlowDatabase(), [], logger))


async def test_a_call_that_was_taken_is_answered_during_the_stop() -> None:
    servicer = SlowHealth()
    server = contextlib.AsyncExitStack()
    port = await server.enter_async_context(listening(an_app(servicer)))
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = health_pb2_grpc.HealthStub(channel).Check(CHECK)
        await servicer.begun.wait()
        stopping = asyncio.create_task(server.aclose())
        await asyncio.sleep(0.1)
        assert not stopping.done()
        servicer.go_on.set()
        assert (await call).status == health_pb2.HealthCheckResponse.SERVING
        await asyncio.wait_for(stopping, 2)


async def test_a_call_that_does_not_end_is_cut_off_after_the_grace() -> None:
    servicer = SlowHealth()
    async with contextlib.AsyncExitStack() as stack:
        server = contextlib.AsyncExitStack()
        port = await server.enter_async_context(listening(an_app(servicer, stop_seconds=0.2)))
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        call = health_pb2_grpc.HealthStub(await stack.enter_async_context(channel)).Check(CHECK)
        await servicer.begun.wait()
        await asyncio.wait_for(server.aclose(), 2)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert caught.value.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}


@pytest.mark.parametrize("failure", [Unavailable(), RuntimeError("no such table")])
async def test_whatever_the_database_fails_with_health_goes_on(failure: Exception) -> None:
    database = SlowDatabase()
    health = Health(database, [], log.logger("CRITICAL"))
    assert await health.check()
    database.failure = failure
    assert not await health.check()
    database.failure = None
    assert await health.check()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@contextlib.asynccontextmanager
async def served_with_tls(authority: Authority, client_ca: str = "") -> AsyncIterator[int]:
    certificate, key = authority.issue("server")
    servicer = SlowHealth()
    servicer.go_on.set()
    app = an_app(
        servicer, tls_cert_file=certificate, tls_key_file=key, tls_client_ca_file=client_ca
    )
    async with listening(app) as port:
        yield port


def credentials_of(ca: str, pair: tuple[str, str] | None) -> grpc.ChannelCredentials:
    certificate, key = (Path(file).read_bytes() for file in pair) if pair else (None, None)
    return grpc.ssl_channel_credentials(Path(ca).read_bytes(), key, certificate)


async def ask(port: int, ca: str, pair: tuple[str, str] | None = None) -> int:
    credentials = credentials_of(ca, pair)
    async with grpc.aio.secure_channel(f"localhost:{port}", credentials) as channel:
        answer = await health_pb2_grpc.HealthStub(channel).Check(CHECK, timeout=5)
        return int(answer.status)


async def test_tls_is_spoken_when_a_certificate_is_set(authority: Authority) -> None:
    async with served_with_tls(authority) as port:
        assert await ask(port, authority.file) == 1
        async with grpc.aio.insecure_channel(f"localhost:{port}") as plain:
            with pytest.raises(grpc.aio.AioRpcError):
                await health_pb2_grpc.HealthStub(plain).Check(CHECK, timeout=2)


async def test_a_client_without_a_certificate_is_refused_where_one_is_asked_for(
    authority: Authority,
) -> None:
    async with served_with_tls(authority, client_ca=authority.file) as port:
        assert await ask(port, authority.file, authority.issue("client")) == 1
        with pytest.raises(grpc.aio.AioRpcError):
            await ask(port, authority.file)
