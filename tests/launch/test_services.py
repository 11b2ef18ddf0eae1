"""The embedded services: they start, keep what they were given, check who asks, and stop."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from typing import TYPE_CHECKING, Any

import asyncpg
import boto3
import psutil
import pytest
import redis
from botocore.exceptions import ClientError
from redis.backoff import NoBackoff
from redis.retry import Retry

from launch import ports
from launch.errors import PortTaken, Refusal, StartFailed
from launch.objects import BUCKET, EmbeddedObjects
from launch.postgres import EmbeddedPostgres
from launch.valkey import EmbeddedValkey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A server for all tests here, since making its data takes the longest."""
    made = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), fast=True)
    yield made
    made.stop()


@pytest.fixture
def postgres(server: EmbeddedPostgres) -> EmbeddedPostgres:
    """The server, running whatever the test before has done to it."""
    if server.pid is None or server.ended:
        server.start()
    return server


def query(dsn: str, statement: str) -> Any:
    async def ask() -> Any:
        connection = await asyncpg.connect(dsn)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(ask())


def test_each_role_logs_in_and_none_of_ours_is_superuser(postgres: EmbeddedPostgres) -> None:
    mine = "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
    assert query(postgres.superuser_dsn, mine) is True
    for dsn in (postgres.owner_dsn, postgres.app_dsn, postgres.worker_dsn):
        assert query(dsn, mine) is False


def test_the_owner_may_create_tables_and_the_app_may_not(postgres: EmbeddedPostgres) -> None:
    query(postgres.owner_dsn, "CREATE TABLE mine (number int)")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        query(postgres.app_dsn, "CREATE TABLE refused (number int)")


def test_a_wrong_password_is_refused(postgres: EmbeddedPostgres) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        query(f"postgresql://carelane_app:guess@127.0.0.1:{postgres.port}/carelane", "SELECT 1")


def test_data_outlives_a_restart_and_a_kill(postgres: EmbeddedPostgres) -> None:
    query(postgres.owner_dsn, "CREATE TABLE kept AS SELECT 7 AS number")
    postgres.stop()
    postgres.start()
    assert postgres.pid is not None
    os.kill(postgres.pid, signal.SIGKILL)
    postgres.start()
    assert query(postgres.owner_dsn, "SELECT number FROM kept") == 7


def test_a_running_server_can_be_adopted_and_is_left_running(postgres: EmbeddedPostgres) -> None:
    second = EmbeddedPostgres(postgres.folder)
    assert second.adopt()
    second.stop()
    assert query(second.app_dsn, "SELECT 1") == 1
    postgres.stop()
    assert not second.adopt()


def test_a_start_stops_the_orphan_that_holds_the_folder(postgres: EmbeddedPostgres) -> None:
    orphans = postgres.left_running()
    assert len(orphans) > 1
    successor = EmbeddedPostgres(postgres.folder, fast=True)
    successor.start()
    try:
        assert not any(orphan.is_running() for orphan in orphans[1:])
        assert query(successor.app_dsn, "SELECT 1") == 1
    finally:
        successor.stop()


def test_a_stop_leaves_no_process(postgres: EmbeddedPostgres) -> None:
    children = postgres.left_running()
    postgres.stop()
    assert not postgres.left_running()
    assert not any(child.is_running() for child in children)


def test_data_of_another_postgresql_is_refused(postgres: EmbeddedPostgres) -> None:
    postgres.stop()
    (postgres.data / "PG_VERSION").write_text("16\n")
    with pytest.raises(Refusal, match="written by PostgreSQL 16 and this one is 18"):
        postgres.start()
    (postgres.data / "PG_VERSION").write_text("18\n")


def test_lost_passwords_are_said_and_not_replaced(postgres: EmbeddedPostgres) -> None:
    postgres.stop()
    passwords = postgres.folder / "passwords.json"
    kept = passwords.rename(passwords.with_suffix(".kept"))
    with pytest.raises(Refusal, match=r"passwords\.json is missing"):
        postgres.start()
    kept.rename(passwords)


def test_a_half_made_data_folder_is_thrown_away(tmp_path: Path) -> None:
    half = tmp_path / "postgres" / "data.new.123"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    server = EmbeddedPostgres(tmp_path / "postgres", fast=True)
    server.start()
    try:
        assert not half.exists()
    finally:
        server.stop()


def test_a_server_that_cannot_start_says_why(postgres: EmbeddedPostgres) -> None:
    postgres.stop()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        late = EmbeddedPostgres(postgres.folder, port=taken.getsockname()[1], fast=True)
        with pytest.raises(StartFailed, match=r"PostgreSQL ended while starting: .*FATAL"):
            late.start()
    assert not late.left_running()


def test_passwords_are_readable_by_their_owner_alone(postgres: EmbeddedPostgres) -> None:
    assert (postgres.folder / "passwords.json").stat().st_mode & 0o077 == 0
    arguments = " ".join(psutil.Process(postgres.pid).cmdline())
    assert postgres.app_dsn.split(":")[2].split("@")[0] not in arguments


def test_valkey_keeps_its_data_and_asks_for_a_password(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path)
    server.start()
    with redis.Redis.from_url(server.url) as client:
        client.set("kept", "7")
    never = Retry(NoBackoff(), 0)
    with (
        redis.Redis(port=server.port, retry=never) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.get("kept")
    server.stop()
    server.start()
    with redis.Redis.from_url(server.url) as client:
        assert client.get("kept") == b"7"
    server.stop()
    assert not server.left_running()


def test_the_object_store_keeps_objects_and_refuses_wrong_keys(tmp_path: Path) -> None:
    store = EmbeddedObjects(tmp_path)
    store.start()
    try:
        client = s3(store, store.secret_key)
        client.put_object(Bucket=BUCKET, Key="a/b.txt", Body=b"seven")
        assert client.get_object(Bucket=BUCKET, Key="a/b.txt")["Body"].read() == b"seven"
        with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
            s3(store, "guess").get_object(Bucket=BUCKET, Key="a/b.txt")
    finally:
        store.stop()
    assert not store.left_running()


def s3(store: EmbeddedObjects, secret: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=store.url,
        region_name="us-east-1",
        aws_access_key_id=store.access_key,
        aws_secret_access_key=secret,
    )


def test_a_taken_port_names_its_holder() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            PortTaken, match=rf"Port {port}, .* is taken by .*\(pid {os.getpid()}\)"
        ):
            ports.refuse_taken("127.0.0.1", port, purpose="REST", setting="--rest-port")
