"""The server as a process: it serves, it says how it is, and it ends in time."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import orjson
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from carelane.auth.v1 import auth_service_pb2, auth_service_pb2_grpc
from launch.ports import free_port
from launch.postgres import EmbeddedPostgres
from server.core import log
from server.core.errors import Unavailable
from server.health import Health

SERVING = health_pb2.HealthCheckResponse.SERVING


class Process:
    """`python -m server` and what it has logged."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, probes: int) -> None:
        self.process = process
        self.port = port
        self.probes = probes
        self.logged: list[dict[str, Any]] = []

    async def until(self, event: str) -> None:
        assert self.process.stdout
        while not any(line["event"] == event for line in self.logged):
            line = await asyncio.wait_for(self.process.stdout.readline(), 60)
            assert line, f"the server ended before it logged {event!r}"
            self.logged.append(orjson.loads(line))

    async def get(self, path: str, method: str = "GET") -> tuple[int, str]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.probes)
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
        writer.close()
        return int(head.split(" ")[1]), body

    async def stop(self) -> float:
        """Send SIGTERM and answer the seconds until it is gone."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(self.process.wait(), 12) == 0
        return time.monotonic() - began


@asynccontextmanager
async def running(postgres: EmbeddedPostgres, **settings: str) -> AsyncIterator[Process]:
    port, probes = free_port(), free_port()
    environment = {
        **os.environ,
        "DATABASE_URL": postgres.app_dsn,
        "GRPC_ADDRESS": f"127.0.0.1:{port}",
        "METRICS_ADDRESS": f"127.0.0.1:{probes}",
        **settings,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "server", env=environment, stdout=asyncio.subprocess.PIPE
    )
    made = Process(process, port, probes)
    try:
        await made.until("listening")
        yield made
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.fixture(scope="module")
async def server(postgres: EmbeddedPostgres) -> AsyncIterator[Process]:
    async with running(postgres) as process:
        yield process


@pytest.fixture
async def channel(server: Process) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield channel


async def test_health_is_open_to_anyone(channel: grpc.aio.Channel) -> None:
    stub = health_pb2_grpc.HealthStub(channel)
    for service in ("", "carelane.auth.v1.AuthService"):
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
        assert answer.status == SERVING


async def test_reflection_names_the_services(channel: grpc.aio.Channel) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    ask = reflection_pb2.ServerReflectionRequest(list_services="")
    answers = [answer async for answer in stub.ServerReflectionInfo(iter([ask]))]
    names = {service.name for service in answers[0].list_services_response.service}
    assert {"carelane.auth.v1.AuthService", "grpc.health.v1.Health"} <= names


async def test_a_service_answers(channel: grpc.aio.Channel) -> None:
    stub = auth_service_pb2_grpc.AuthServiceStub(channel)
    keys = (await stub.GetJwks(auth_service_pb2.GetJwksRequest())).keys
    assert [key.crv for key in keys] == ["Ed25519"]


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/healthz", 200, "ok"),
        ("/readyz", 200, "ok"),
        ("/metrics", 200, "carelane_rpc_calls_total"),
        ("/elsewhere", 404, "not found"),
    ],
)
async def test_probes_answer(server: Process, path: str, status: int, text: str) -> None:
    found, body = await server.get(path)
    assert (found, text in body) == (status, True)


async def test_probes_are_only_read(server: Process) -> None:
    assert (await server.get("/healthz", method="POST"))[0] == 405


async def test_a_port_in_use_is_refused_in_one_sentence(
    server: Process, postgres: EmbeddedPostgres
) -> None:
    address = f"127.0.0.1:{server.port}"
    environment = {**os.environ, "DATABASE_URL": postgres.app_dsn, "GRPC_ADDRESS": address}
    second = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "server",
        env=environment,
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
    )
    _, said = await asyncio.wait_for(second.communicate(), 20)
    assert second.returncode == 1
    assert said.decode().splitlines()[-1] == f"server: cannot listen on GRPC_ADDRESS={address}"


async def test_it_ends_in_time_with_streams_open(postgres: EmbeddedPostgres) -> None:
    async with running(postgres) as server:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
            assert (await watch.read()).status == SERVING
            stopping = asyncio.create_task(server.stop())
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                while True:
                    await watch.read()
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            assert await stopping < 5
        await server.until("stopped")


class Away:
    """A database that comes and goes."""

    def __init__(self) -> None:
        self.away = False

    async def one(self, _statement: object) -> None:
        if self.away:
            raise Unavailable


async def test_health_follows_the_database() -> None:
    database = Away()
    health = Health(database, ["carelane.auth.v1.AuthService"], log.logger("ERROR"))
    assert await health.check()
    database.away = True
    assert not await health.check()
    assert not health.ready
    database.away = False
    assert await health.check()
    await health.stop()
    await health.check()
    assert not health.ready
