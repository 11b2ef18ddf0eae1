"""The other commands of `carelane`, as processes on services of one's own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from bff.settings import Settings as BffSettings
from launch import ports
from launch.errors import Refusal
from launch.settings import read
from server.settings import Settings as ServerSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launch.postgres import EmbeddedPostgres

# They share what costs a start, so one process runs them.
pytestmark = pytest.mark.xdist_group("commands")
CARELANE = Path(sys.executable).with_name("carelane")


@pytest.fixture
def settings(postgres: EmbeddedPostgres) -> dict[str, str]:
    """An environment that names the migrated database of the run, and free ports."""
    return environment_of(postgres)


def environment_of(postgres: EmbeddedPostgres) -> dict[str, str]:
    rest, server = ports.free_port(), ports.free_port()
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return kept | {
        "DATABASE_URL": postgres.app_dsn,
        "WORKER_DATABASE_URL": postgres.worker_dsn,
        "MIGRATE_DATABASE_URL": postgres.owner_dsn,
        "HTTP_ADDRESS": f"127.0.0.1:{rest}",
        "GRPC_ADDRESS": f"127.0.0.1:{server}",
        "GRPC_TARGET": f"127.0.0.1:{server}",
    }


@contextmanager
def running(
    command: str, settings: dict[str, str], folder: Path
) -> Iterator[subprocess.Popen[str]]:
    """Run a command that serves; it has to end by itself, with 0, when it is asked to."""
    process = start(command, settings, folder)
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def start(command: str, settings: dict[str, str], folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [CARELANE, *command.split()],
        env=settings,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def said(command: str, settings: dict[str, str], folder: Path) -> tuple[int, str]:
    """Run a command to its end, and return its code and words."""
    process = start(command, settings, folder)
    words, _ = process.communicate(timeout=60)
    assert "Traceback" not in words
    return process.returncode, words


def ready(process: subprocess.Popen[str], settings: dict[str, str]) -> int:
    """Wait until REST answers /readyz, and return the status."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, process.stdout and process.stdout.read()
        try:
            return httpx.get(f"http://{settings['HTTP_ADDRESS']}/readyz").status_code
        except httpx.TransportError:
            time.sleep(0.05)
    raise TimeoutError("REST does not answer")


def health(settings: dict[str, str]) -> int:
    with grpc.insecure_channel(settings["GRPC_TARGET"]) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        return int(
            stub.Check(health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=60).status
        )


def test_serve_answers_rest_and_grpc_from_one_process_and_keeps_its_address(
    settings: dict[str, str], tmp_path: Path
) -> None:
    with running("serve", settings, tmp_path) as process:
        assert ready(process, settings) == 200
        assert health(settings) == health_pb2.HealthCheckResponse.SERVING
        code, words = said("bff", settings, tmp_path)
        assert code == 1
        assert f"(pid {process.pid})" in words


def test_server_and_bff_join_by_grpc(settings: dict[str, str], tmp_path: Path) -> None:
    with running("server", settings, tmp_path):
        assert health(settings) == health_pb2.HealthCheckResponse.SERVING
        with running("bff", settings, tmp_path) as bff:
            assert ready(bff, settings) == 200


def test_a_worker_delivers_what_waits(
    settings: dict[str, str], postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    event = (
        "INSERT INTO outbox (topic, subject_id, payload) VALUES ('nobody.cares', new_id(), '{}')"
    )
    asyncio.run(run_sql(postgres.superuser_dsn, event))
    with running("worker", settings, tmp_path):
        waiting = "SELECT count(*) FROM outbox WHERE topic = 'nobody.cares'"
        deadline = time.monotonic() + 60
        while asyncio.run(run_sql(postgres.superuser_dsn, waiting)):
            assert time.monotonic() < deadline
            time.sleep(0.1)


async def run_sql(dsn: str, statement: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


NOWHERE = "postgresql://a:b@127.0.0.1:9/c"


REFUSED = [
    ("serve", {"DATABASE_URL": NOWHERE}, "The database of DATABASE_URL does not answer"),
    ("migrate", {"MIGRATE_DATABASE_URL": ""}, "MIGRATE_DATABASE_URL is not set"),
    ("migrate", {"MIGRATE_DATABASE_URL": NOWHERE}, "cannot be asked for its revision"),
    ("migrate 9999", {}, "The schema cannot be taken there: Can't locate revision"),
    ("check", {"DATABASE_URL": NOWHERE}, "start PostgreSQL"),
    ("serve", {"DATABASE_URL": ""}, "DATABASE_URL is not set"),
    ("serve", {"REDIS_URL": "valkey.internal"}, "REDIS_URL: begins with redis://"),
    ("server", {"TLS_CERT_FILE": "a.pem", "TLS_KEY_FILE": "b.pem"}, "TLS_CERT_FILE a.pem can"),
    (
        "server",
        {"ENVIRONMENT": "production", "EMBEDDED_SERVICES": "true"},
        "the database is an embedded one",
    ),
    ("bff", {"GRPC_CA_FILE": "/dev/null"}, "GRPC_CA_FILE /dev/null has no certificate"),
    ("up --doctors -1", {}, "Invalid value for '--doctors'"),
    ("up --rest-port 8000 --grpc-port 8000", {}, "Port 8000 is asked for twice"),
]
# One process for all of them, since most of its time goes into imports.
ONE_BY_ONE = """
import json, sys
from typer.testing import CliRunner
from launch.cli import app
for command, change in json.load(sys.stdin):
    done = CliRunner().invoke(app, command.split(), env=change)
    print(json.dumps([done.exit_code, done.output, repr(done.exception)]))
"""


@pytest.fixture(scope="module")
def sentences(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """Code, words and exception of each of the refused commands."""
    process = subprocess.run(
        [sys.executable, "-c", ONE_BY_ONE],
        input=json.dumps([(command, change) for command, change, _ in REFUSED]),
        env=environment_of(postgres),
        cwd=tmp_path_factory.mktemp("refused"),
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in process.stdout.splitlines()]


@pytest.mark.parametrize("index", range(len(REFUSED)), ids=[command for command, *_ in REFUSED])
def test_what_cannot_start_says_why_in_one_sentence(sentences: list[Any], index: int) -> None:
    code, said_to_person, exception = sentences[index]
    assert code in {1, 2}
    assert exception.startswith("SystemExit"), said_to_person
    assert REFUSED[index][2] in " ".join(said_to_person.split())


@pytest.mark.parametrize(
    ("kind", "change", "words"),
    [
        (ServerSettings, {"SECRET_KEYS": "short"}, "SECRET_KEYS: .*32 characters or more"),
        (ServerSettings, {"ENVIRONMENT": "production"}, "SECRET_KEYS is not set"),
        (ServerSettings, {"DATABASE_URL": "mysql://there"}, "DATABASE_URL: begins with postgresql"),
        (BffSettings, {"HTTP_ADDRESS": "nowhere"}, "HTTP_ADDRESS: is written as HOST:PORT"),
        (BffSettings, {"BODY_LIMIT": "much"}, "BODY_LIMIT: "),
    ],
)
def test_refused_settings_are_named(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    kind: type[ServerSettings] | type[BffSettings],
    change: dict[str, str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in change.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Refusal, match=words):
        read(kind)


def test_migrate_moves_an_empty_database_up_and_repeats_without_effect(
    settings: dict[str, str], postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    asyncio.run(run_sql(postgres.superuser_dsn, "CREATE DATABASE empty OWNER carelane_owner"))
    there = settings | {"MIGRATE_DATABASE_URL": postgres.dsn("carelane_owner", "empty")}
    first = said("migrate", there, tmp_path)
    assert first[0] == 0
    assert "Migrating from an empty database" in first[1]
    second = said("migrate", there, tmp_path)
    assert second[1].splitlines()[-1] == first[1].splitlines()[-1]


def test_a_schema_that_lags_behind_is_not_served(
    settings: dict[str, str], postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    asyncio.run(run_sql(postgres.superuser_dsn, "CREATE DATABASE lagging OWNER carelane_owner"))
    there = settings | {
        "DATABASE_URL": postgres.dsn("carelane_app", "lagging"),
        "MIGRATE_DATABASE_URL": postgres.dsn("carelane_app", "lagging"),
    }
    code, words = said("server", there, tmp_path)
    assert code == 1
    assert "The schema of the database lacks 0001, 0002" in words
    code, words = said("migrate", there, tmp_path)
    assert code == 1
    assert "does not own the schema" in words


def test_help_names_every_command_and_is_quick(tmp_path: Path) -> None:
    code, words = said("--help", dict(os.environ), tmp_path)
    assert code == 0
    for command in ("up", "totp", "serve", "server", "bff", "worker", "migrate", "seed", "check"):
        assert f" {command} " in words
