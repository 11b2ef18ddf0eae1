"""The server's settings, read once from the environment; field names in capitals are the variables.

`.env.example` shows each of them. In production, settings that weaken the platform are refused, all
of them in one message.
"""

import ipaddress
import re
from email.utils import parseaddr
from functools import cached_property
from ipaddress import ip_network
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from server.core.call import Networks
from server.core.keys import Keys

Names = Annotated[tuple[str, ...], NoDecode]
Secrets = Annotated[tuple[SecretStr, ...], NoDecode]

EXAMPLE_ISSUER = "https://carelane.example"
EXAMPLE_SENDER = "Carelane <no-reply@carelane.example>"
EXAMPLE_DOMAIN = ("@carelane.example", "@carelane.example>")
SHORTEST_KEY = 32
SHORTEST_PASSWORD = 16


class Settings(BaseSettings):
    """What can be set; lists are written with commas between."""

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", frozen=True, hide_input_in_errors=True
    )

    environment: Literal["development", "production"] = "development"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    database_url: SecretStr = Field(
        SecretStr(""), description="PostgreSQL, as the role carelane_app."
    )
    worker_database_url: SecretStr = Field(
        SecretStr(""), description="PostgreSQL, as carelane_worker; without it no jobs run here."
    )
    database_pool_size: int = Field(10, ge=1, le=200, description="Connections a process holds.")
    embedded_services: bool = Field(
        False, description="Set by `carelane up`, which runs the database itself."
    )
    redis_url: SecretStr = Field(
        SecretStr(""), description="Valkey or Redis; without it limits count per process."
    )

    secret_keys: Secrets = Field(
        (),
        description="What tokens are signed with, 32 random characters or more each; the first "
        "signs, the others are still accepted. Without one, every start signs everybody out.",
    )
    audit_keys: Secrets = Field(
        (),
        description="What heads of the audit are signed with, if not SECRET_KEYS; the first signs, "
        "the others are kept as long as what they signed.",
    )
    audit_folder: str = Field(
        "", description="A folder that heads of the audit are copied to, besides S3_BUCKET."
    )
    s3_endpoint_url: str = Field("", description="The S3 store; empty for AWS.")
    s3_region: str = "us-east-1"
    s3_bucket: str = Field("", description="Its bucket; without one no files are kept.")
    s3_access_key_id: str = ""
    s3_secret_access_key: SecretStr = SecretStr("")
    hold_minutes: int = Field(
        10, ge=1, le=60, description="How long a time is held for a patient who books or pays."
    )

    smtp_url: SecretStr = Field(
        SecretStr(""),
        description="The mail server, smtp://USER:PASSWORD@HOST:587 or smtps://; without it no "
        "mail is sent.",
    )
    mail_sender: str = Field(EXAMPLE_SENDER, description="Who mails come from.")
    mail_folder: str = Field(
        "", description="Development only: the folder that mails and text messages are written to."
    )
    web_url: str = Field(
        "http://localhost:3000", description="The web app, for links in mails; without a path."
    )

    require_verified_email: bool | None = Field(
        None,
        description="Let only those book who have verified their e-mail address; not set, it is "
        "so in production.",
    )
    require_second_factor: bool | None = Field(
        None,
        description="Administrators and owners of clinics need a second factor; not set, it is "
        "so in production, where it cannot be switched off.",
    )
    factor_keys: Secrets = Field(
        (),
        description="What the secrets of second factors are encrypted and those of programs' keys "
        "hashed with, like SECRET_KEYS, which serve without it; an old one must stay in the list.",
    )
    passkey_domain: str = Field(
        "", description="The domain that passkeys belong to; empty for the host of WEB_URL."
    )
    passkey_origins: Names = Field(
        (), description="Where passkeys may be asked for, besides WEB_URL: https://app.example.com."
    )

    token_issuer: str = Field(EXAMPLE_ISSUER, description="The `iss` of access tokens.")
    token_audience: str = Field("carelane", description="The `aud` of access tokens.")

    grpc_address: str = Field(
        "127.0.0.1:50051",
        description="Where gRPC is served, as host:port.",
        pattern=r"^.+:\d{1,5}$",
    )
    grpc_plaintext: bool = Field(
        False,
        description="Production only: says that serving a public address without TLS is meant.",
    )
    tls_cert_file: str = Field("", description="Certificate chain of the gRPC server, PEM.")
    tls_key_file: str = Field("", description="Its private key, PEM.")
    tls_client_ca_file: str = Field(
        "", description="Authority of client certificates, PEM; with it clients must have one."
    )
    reflection: bool = Field(True, description="Let grpcurl ask for the contract.")
    max_concurrent_calls: int = Field(2000, ge=10, description="Calls at once; more are refused.")
    trusted_proxies: Names = Field(
        (), description="Networks of BFFs whose x-forwarded-for is believed, such as 10.0.0.0/8."
    )
    metrics_address: str = Field(
        "",
        description="Where /metrics, /healthz and /readyz are served over HTTP; empty for nowhere.",
        pattern=r"^(.+:\d{1,5})?$",
    )
    stop_seconds: float = Field(
        7.0, gt=0, le=8, description="How long calls may finish after SIGTERM."
    )

    @field_validator(
        *("secret_keys", "audit_keys", "factor_keys", "trusted_proxies", "passkey_origins"),
        mode="before",
    )
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("database_url", "worker_database_url")
    @classmethod
    def _of_postgresql(cls, url: SecretStr) -> SecretStr:
        return _with_scheme(url, "postgresql", "postgres")

    @field_validator("redis_url")
    @classmethod
    def _of_redis(cls, url: SecretStr) -> SecretStr:
        return _with_scheme(url, "redis", "rediss", "unix")

    @field_validator("require_verified_email", "require_second_factor", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("smtp_url")
    @classmethod
    def _of_smtp(cls, url: SecretStr) -> SecretStr:
        return _with_scheme(url, "smtp", "smtps")

    @field_validator("web_url")
    @classmethod
    def _of_web(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or url != f"{parts.scheme}://{parts.netloc}":
            raise ValueError("is written like https://app.example.com, without a path")
        return url

    @field_validator("mail_sender")
    @classmethod
    def _address(cls, sender: str) -> str:
        if not re.fullmatch(r"[^\s@]+@[^\s@]+", parseaddr(sender)[1]):
            raise ValueError("is written like Carelane <no-reply@app.example.com>")
        return sender

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in proxies:
            ip_network(proxy)
        return proxies

    @field_validator("secret_keys", "audit_keys", "factor_keys")
    @classmethod
    def _long(cls, keys: tuple[SecretStr, ...], info: ValidationInfo) -> tuple[SecretStr, ...]:
        if any(len(key.get_secret_value()) < SHORTEST_KEY for key in keys):
            name = str(info.field_name).upper()
            raise ValueError(f"each of {name} must have {SHORTEST_KEY} characters or more")
        return keys

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if bool(self.tls_cert_file) != bool(self.tls_key_file):
            raise ValueError("TLS_CERT_FILE and TLS_KEY_FILE are set together")
        if self.tls_client_ca_file and not self.tls_cert_file:
            raise ValueError("TLS_CLIENT_CA_FILE needs TLS_CERT_FILE and TLS_KEY_FILE")
        if self.environment == "production" and (faults := self._weaknesses()):
            raise ValueError("refused in production: " + "; ".join(faults))
        return self

    @cached_property
    def proxies(self) -> Networks:
        """The trusted proxies as networks."""
        return tuple(ip_network(proxy) for proxy in self.trusted_proxies)

    @property
    def asks_for_verified_email(self) -> bool:
        """Whether only those book who have verified their address."""
        if self.require_verified_email is None:
            return self.environment == "production"
        return self.require_verified_email

    @property
    def asks_for_second_factor(self) -> bool:
        """Whether administrators and owners of clinics need a second factor."""
        if self.require_second_factor is None:
            return self.environment == "production"
        return self.require_second_factor

    @cached_property
    def keys(self) -> Keys:
        """What every key of this process is derived from."""
        return Keys([key.get_secret_value() for key in self.secret_keys])

    @cached_property
    def keys_of_audit(self) -> Keys:
        """What the keys that sign heads of the audit are derived from."""
        return Keys([key.get_secret_value() for key in self.audit_keys or self.secret_keys])

    @cached_property
    def keys_of_factors(self) -> list[bytes]:
        """What secrets of second factors are encrypted with, the current key first."""
        return self._keys_at_rest.derive("second factor")

    @cached_property
    def keys_of_programs(self) -> list[bytes]:
        """What secrets of programs' keys are hashed with, the current key first."""
        return self._keys_at_rest.derive("key secret")

    @property
    def _keys_at_rest(self) -> Keys:
        keys = [key.get_secret_value() for key in self.factor_keys]
        return Keys(keys) if keys else self.keys

    def _weaknesses(self) -> list[str]:
        faults = [
            *_database_faults("DATABASE_URL", self.database_url.get_secret_value()),
            *_database_faults("WORKER_DATABASE_URL", self.worker_database_url.get_secret_value()),
        ]
        plain = not self.tls_cert_file and not self.grpc_plaintext
        conditions = {
            "SECRET_KEYS is not set": not self.secret_keys,
            "one of SECRET_KEYS is repetitive": any(map(_is_repetitive, self.secret_keys)),
            "one of AUDIT_KEYS is repetitive": any(map(_is_repetitive, self.audit_keys)),
            "one of FACTOR_KEYS is repetitive": any(map(_is_repetitive, self.factor_keys)),
            "the database is an embedded one": self.embedded_services,
            "DATABASE_URL is not set": not self.database_url.get_secret_value(),
            "SMTP_URL is not set": not self.smtp_url.get_secret_value(),
            "MAIL_FOLDER is set": bool(self.mail_folder),
            "MAIL_SENDER is the example's": self.mail_sender.endswith(EXAMPLE_DOMAIN),
            "WEB_URL is not https": not self.web_url.startswith("https://"),
            "REQUIRE_SECOND_FACTOR is off": not self.asks_for_second_factor,
            "TOKEN_ISSUER is the example's": self.token_issuer == EXAMPLE_ISSUER,
            "GRPC_ADDRESS is public without TLS (GRPC_PLAINTEXT=true says that it is meant)": plain
            and not is_local(self.grpc_address),
            "REFLECTION is on": self.reflection,
            "LOG_LEVEL is DEBUG": self.log_level == "DEBUG",
        }
        return faults + [fault for fault, holds in conditions.items() if holds]


def is_local(address: str) -> bool:
    """Tell whether only this machine reaches host:port."""
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _with_scheme(url: SecretStr, *schemes: str) -> SecretStr:
    given = url.get_secret_value()
    if given and given.partition("://")[0] not in schemes:
        raise ValueError(f"begins with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    return url


def _database_faults(name: str, dsn: str) -> list[str]:
    if not dsn:
        return []
    parts = urlsplit(dsn)
    faults = []
    if parts.username == "postgres":
        faults.append(f"{name} names the superuser")
    if parts.hostname and len(parts.password or "") < SHORTEST_PASSWORD:
        faults.append(f"{name} has a password of less than {SHORTEST_PASSWORD} characters")
    return faults


def _is_repetitive(secret: SecretStr) -> bool:
    return len(set(secret.get_secret_value())) < SHORTEST_KEY // 4
