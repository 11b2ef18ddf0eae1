"""The settings of the BFF; a field in capitals is its environment variable."""

import ipaddress
from functools import cached_property
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from bff.visit import Networks

Names = Annotated[tuple[str, ...], NoDecode]
Secrets = Annotated[tuple[SecretStr, ...], NoDecode]
SHORTEST_KEY = 32


class Settings(BaseSettings):
    """What can be set; lists are written with commas between."""

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", frozen=True, hide_input_in_errors=True
    )

    environment: Literal["development", "production"] = "development"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    http_address: str = Field(
        "127.0.0.1:8000", description="Where REST is served, as host:port.", pattern=r"^.+:\d{1,5}$"
    )
    grpc_target: str = Field(
        "127.0.0.1:50051", description="The gRPC server, when the BFF runs alone."
    )
    grpc_ca_file: str = Field(
        "", description="Certificate authority of the gRPC server; empty joins it without TLS."
    )
    grpc_plaintext: bool = Field(
        False, description="Production only: says that joining without TLS is meant."
    )
    cors_origins: Names = Field(
        ("http://localhost:3000",), description="Origins of the web app, exact, with scheme."
    )
    cookie_keys: Secrets = Field(
        (),
        description="What the session cookies of browsers are sealed with; the first one seals. "
        "Without any, each start makes one of its own.",
    )
    insecure_cookies: bool = Field(
        False, description="Development only: cookies that also work over plain HTTP."
    )
    trusted_proxies: Names = Field(
        (), description="Networks whose X-Forwarded-For is believed, such as 10.0.0.0/8."
    )
    metrics_networks: Names = Field(
        ("127.0.0.0/8", "::1/128"), description="Networks that may read /metrics."
    )
    body_limit: int = Field(1024 * 1024, ge=1024, description="Largest body in bytes.")
    call_timeout: float = Field(30.0, gt=0, le=30, description="Seconds an RPC may take.")
    mail_folder: str = Field(
        "", description="Development only: the folder of mails that /inbox shows."
    )
    docs: bool = Field(True, description="Serve /docs and /openapi.json.")

    @field_validator(
        *("cors_origins", "cookie_keys", "trusted_proxies", "metrics_networks"), mode="before"
    )
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("cors_origins")
    @classmethod
    def _exact(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            parts = urlsplit(origin)
            exact = f"{parts.scheme}://{parts.netloc}"
            if parts.scheme not in {"http", "https"} or origin != exact:
                raise ValueError(
                    "an origin is written like https://app.example.com, without a path"
                )
        return origins

    @field_validator("cookie_keys")
    @classmethod
    def _long(cls, keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(key.get_secret_value()) < SHORTEST_KEY for key in keys):
            raise ValueError(f"each of COOKIE_KEYS must have {SHORTEST_KEY} characters or more")
        return keys

    @field_validator("trusted_proxies", "metrics_networks")
    @classmethod
    def _networks(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        _parsed(names)
        return names

    @model_validator(mode="after")
    def _strong_in_production(self) -> Self:
        if self.environment != "production":
            return self
        faults = [fault for fault, holds in self._weaknesses().items() if holds]
        if faults:
            raise ValueError(f"too weak for production: {'; '.join(faults)}")
        return self

    def _weaknesses(self) -> dict[str, bool]:
        """Answer what production refuses, and whether it is so."""
        joined = self.grpc_ca_file or self.grpc_plaintext or _is_here(self.grpc_target)
        return {
            "CORS_ORIGINS must be exact https origins": any(
                origin.startswith("http://") for origin in self.cors_origins
            ),
            "COOKIE_KEYS is not set": not self.cookie_keys,
            "one of COOKIE_KEYS is repetitive": any(
                len({*key}) < SHORTEST_KEY // 4 for key in self.keys_of_cookies
            ),
            "INSECURE_COOKIES is on": self.insecure_cookies,
            "TRUSTED_PROXIES and METRICS_NETWORKS must not be everybody": not all(
                network.prefixlen for network in (*self.proxies, *self.monitors)
            ),
            "MAIL_FOLDER is set": bool(self.mail_folder),
            "set GRPC_CA_FILE, or GRPC_PLAINTEXT=true if clear text is meant": not joined,
            "LOG_LEVEL is DEBUG": self.log_level == "DEBUG",
        }

    @property
    def keys_of_cookies(self) -> tuple[str, ...]:
        """The keys of the cookies in clear."""
        return tuple(key.get_secret_value() for key in self.cookie_keys)

    @cached_property
    def proxies(self) -> Networks:
        """The trusted proxies as networks."""
        return _parsed(self.trusted_proxies)

    @cached_property
    def monitors(self) -> Networks:
        """The networks of those who may read /metrics."""
        return _parsed(self.metrics_networks)

    @property
    def in_production(self) -> bool:
        return self.environment == "production"


def _parsed(names: tuple[str, ...]) -> Networks:
    return tuple(ipaddress.ip_network(name) for name in names)


def _is_here(target: str) -> bool:
    host = target.rpartition(":")[0].strip("[]")
    if host == "localhost" or target.startswith("unix:"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
