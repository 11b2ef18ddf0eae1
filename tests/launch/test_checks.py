"""`carelane check`: what is wrong is found, and what to do is said."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import pytest

from launch import checks, migrate
from launch.errors import Refusal
from launch.services import Services
from tests.authority import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from launch.postgres import EmbeddedPostgres


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    started = Services(tmp_path_factory.mktemp("services"))
    for service in (started.valkey, started.objects):
        service.start()
    yield started
    started.stop()


@pytest.fixture
def good(services: Services, postgres: EmbeddedPostgres) -> dict[str, str]:
    return {
        "DATABASE_URL": postgres.app_dsn,
        "WORKER_DATABASE_URL": postgres.worker_dsn,
        "MIGRATE_DATABASE_URL": postgres.owner_dsn,
        "SECRET_KEYS": "0123456789abcdef" * 2,
        "REDIS_URL": services.valkey.url,
        "S3_ENDPOINT_URL": services.objects.url,
        "S3_BUCKET": "carelane",
        "S3_ACCESS_KEY_ID": services.objects.access_key,
        "S3_SECRET_ACCESS_KEY": services.objects.secret_key,
    }


def troubles(values: dict[str, str]) -> dict[str, str]:
    findings = asyncio.run(checks.run(values))
    return {found.subject: f"{found.text} -> {found.mend}" for found in findings if not found.well}


def test_what_up_starts_has_no_fault(good: dict[str, str]) -> None:
    assert troubles(good) == {}


def test_nothing_set_says_what_to_set(good: dict[str, str]) -> None:
    found = troubles({})
    assert set(found) == {
        "SECRET_KEYS",
        "DATABASE_URL",
        "WORKER_DATABASE_URL",
        "MIGRATE_DATABASE_URL",
    }
    assert all("-> set " in text for text in found.values())


def test_a_server_that_logs_in_as_superuser_is_found(
    good: dict[str, str], postgres: EmbeddedPostgres
) -> None:
    found = troubles(good | {"DATABASE_URL": postgres.superuser_dsn})
    assert list(found) == ["DATABASE_URL"]
    assert "is superuser" in found["DATABASE_URL"]


def test_a_server_that_logs_in_as_the_owner_is_found(
    good: dict[str, str], postgres: EmbeddedPostgres
) -> None:
    found = troubles(good | {"DATABASE_URL": postgres.owner_dsn})
    assert "has CREATEROLE, owns" in found["DATABASE_URL"]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("DATABASE_URL", "postgresql://carelane_app:{good}@127.0.0.1:9/carelane", "start Postgre"),
        ("DATABASE_URL", "nonsense", "cannot log in"),
        ("REDIS_URL", "redis://127.0.0.1:9/0", "start Valkey or Redis"),
        ("S3_SECRET_ACCESS_KEY", "0123456789abcdef0123456789abcdef", "correct the keys"),
        ("S3_ENDPOINT_URL", "http://127.0.0.1:9", "correct the address"),
        ("SMTP_URL", "smtp://127.0.0.1:9", "start the mail server"),
    ],
)
def test_each_connection_that_fails_says_how_to_mend_it(
    good: dict[str, str], name: str, value: str, words: str
) -> None:
    assert any(words in text for text in troubles(good | {name: value}).values())


def test_a_wrong_password_is_told_from_a_missing_server(
    good: dict[str, str], postgres: EmbeddedPostgres
) -> None:
    wrong = f"postgresql://carelane_app:{'0123456789abcdef' * 2}@127.0.0.1:{postgres.port}/carelane"
    assert (
        "correct the role or its password"
        in troubles(good | {"DATABASE_URL": wrong})["DATABASE_URL"]
    )


def test_weak_secrets_are_named_and_not_shown(good: dict[str, str]) -> None:
    found = troubles(good | {"REDIS_URL": "redis://:hunter2@127.0.0.1:9/0"})
    assert "weak in REDIS_URL" in found["secrets"]
    assert "hunter2" not in str(found)


def test_a_repetitive_key_of_tokens_is_found(good: dict[str, str]) -> None:
    keys = f"{'0123456789abcdef' * 2},{'a' * 40}"
    for name in ("SECRET_KEYS", "COOKIE_KEYS"):
        assert f"weak in {name}" in troubles(good | {name: keys})["secrets"]


def test_a_certificate_and_the_key_of_another_one_are_found(
    good: dict[str, str], tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    (certificate, key), (_, others) = authority.issue("one"), authority.issue("other")
    pair = {"TLS_CERT_FILE": certificate, "TLS_KEY_FILE": key, "GRPC_CA_FILE": authority.file}
    assert troubles(good | pair) == {}
    mixed = troubles(good | pair | {"TLS_KEY_FILE": others})
    assert "KEY_VALUES_MISMATCH" in mixed["certificates"]
    absent = {"GRPC_CA_FILE": f"{tmp_path}/absent.pem"}
    assert "GRPC_CA_FILE" in troubles(good | absent)["certificates"]


def test_a_database_behind_is_found_and_migrating_mends_it(
    good: dict[str, str], postgres: EmbeddedPostgres
) -> None:
    asyncio.run(create_database(postgres.superuser_dsn, "behind"))
    behind = postgres.dsn("carelane_owner", "behind")
    values = good | {"MIGRATE_DATABASE_URL": behind}
    assert "next is 0001) -> run `carelane migrate`" in troubles(values)["schema"]
    migrate.upgrade(behind)
    assert troubles(values) == {}


async def create_database(dsn: str, name: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(f"CREATE DATABASE {name} OWNER carelane_owner")
    await connection.close()


def test_refused_settings_are_found(monkeypatch: pytest.MonkeyPatch, good: dict[str, str]) -> None:
    monkeypatch.setenv("CORS_ORIGINS", "not an origin")
    assert "CORS_ORIGINS" in troubles(good)["settings of the BFF"]


def test_a_schema_of_a_newer_release_is_refused(postgres: EmbeddedPostgres) -> None:
    asyncio.run(create_database(postgres.superuser_dsn, "newer"))
    newer = postgres.dsn("carelane_owner", "newer")
    asyncio.run(say_revision(newer, "9999"))
    with pytest.raises(Refusal, match="at revision 9999, which this release does not know"):
        migrate.state(newer)


async def say_revision(dsn: str, revision: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE TABLE alembic_version (version_num text)")
    await connection.execute("INSERT INTO alembic_version VALUES ($1)", revision)
    await connection.close()
