"""Settings: what is refused, and that each is explained."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from server.settings import Settings

EXAMPLE = Path(__file__).parents[2] / ".env.example"
STRONG: dict[str, Any] = {
    "environment": "production",
    "database_url": "postgresql://carelane_app:4f1d0c6be2a94c3e8d7a@db.internal/carelane",
    "worker_database_url": "postgresql://carelane_worker:9a8b7c6d5e4f3a2b1c0d@db.internal/carelane",
    "secret_keys": "0a1b2c3d4e5f60718293a4b5c6d7e8f9",
    "token_issuer": "https://id.clinic.example",
    "smtp_url": "smtps://carelane:4f1d0c6be2a94c3e8d7a@mail.internal:465",
    "mail_sender": "Clinic <no-reply@clinic.example>",
    "web_url": "https://app.clinic.example",
    "grpc_address": "0.0.0.0:50051",
    "tls_cert_file": "server.pem",
    "tls_key_file": "server.key",
    "reflection": False,
}


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No `.env` and no variable of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_nothing_has_to_be_set_in_development() -> None:
    assert Settings().grpc_address == "127.0.0.1:50051"


def test_lists_are_written_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEYS", f"{'a' * 32}, {'b' * 32}")
    monkeypatch.setenv("TRUSTED_PROXIES", "10.0.0.0/8,::1/128")
    settings = Settings()
    assert [key.get_secret_value() for key in settings.secret_keys] == ["a" * 32, "b" * 32]
    assert [str(network) for network in settings.proxies] == ["10.0.0.0/8", "::1/128"]


def test_strong_settings_pass_in_production() -> None:
    assert Settings(**STRONG).environment == "production"
    assert Settings(**STRONG).asks_for_verified_email
    assert Settings(**STRONG).asks_for_second_factor


@pytest.mark.parametrize(
    ("weak", "said"),
    [
        ({"secret_keys": ""}, "SECRET_KEYS is not set"),
        ({"secret_keys": "a" * 40}, "one of SECRET_KEYS is repetitive"),
        ({"factor_keys": "a" * 40}, "one of FACTOR_KEYS is repetitive"),
        ({"require_second_factor": False}, "REQUIRE_SECOND_FACTOR is off"),
        ({"database_url": ""}, "DATABASE_URL is not set"),
        (
            {"database_url": "postgresql://carelane_app:carelane@db/carelane"},
            "DATABASE_URL has a password of less than 16 characters",
        ),
        (
            {"worker_database_url": "postgresql://postgres:9a8b7c6d5e4f3a2b1c0d@db/carelane"},
            "WORKER_DATABASE_URL names the superuser",
        ),
        ({"embedded_services": True}, "the database is an embedded one"),
        ({"tls_cert_file": "", "tls_key_file": ""}, "GRPC_ADDRESS is public without TLS"),
        ({"reflection": True}, "REFLECTION is on"),
        ({"smtp_url": ""}, "SMTP_URL is not set"),
        ({"mail_folder": "mail"}, "MAIL_FOLDER is set"),
        ({"mail_sender": "no-reply@carelane.example"}, "MAIL_SENDER is the example's"),
        ({"web_url": "http://app.clinic.example"}, "WEB_URL is not https"),
        ({"token_issuer": "https://carelane.example"}, "TOKEN_ISSUER is the example's"),
        ({"log_level": "DEBUG"}, "LOG_LEVEL is DEBUG"),
    ],
)
def test_a_weak_setting_is_refused_in_production_alone(weak: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Settings(**(STRONG | weak))
    assert Settings(**(STRONG | weak | {"environment": "development"}))


def test_every_weakness_is_named_at_once() -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(environment="production")
    assert {"SECRET_KEYS", "DATABASE_URL", "REFLECTION"} <= set(str(caught.value).split())


@pytest.mark.parametrize(
    "relaxed",
    [{"grpc_plaintext": True}, {"grpc_address": "127.0.0.1:1"}, {"grpc_address": "[::1]:1"}],
)
def test_plain_text_is_allowed_where_it_is_meant_or_local(relaxed: dict[str, Any]) -> None:
    assert Settings(**(STRONG | {"tls_cert_file": "", "tls_key_file": ""} | relaxed))


@pytest.mark.parametrize(
    "broken",
    [
        {"secret_keys": "short"},
        {"grpc_address": "nowhere"},
        {"trusted_proxies": "10.0.0.0/99"},
        {"tls_cert_file": "server.pem"},
        {"tls_client_ca_file": "ca.pem"},
    ],
)
def test_a_broken_setting_is_refused_anywhere(broken: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings(**broken)


def test_a_refusal_does_not_repeat_a_secret() -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(secret_keys="hunter2")
    assert "hunter2" not in str(caught.value)


def test_every_setting_is_explained_in_the_example() -> None:
    explained = EXAMPLE.read_text()
    missing = [name for name in Settings.model_fields if f"\n{name.upper()}=" not in explained]
    assert missing == ["embedded_services"]
