"""`carelane check`: whether the settings and the connections they name would carry production."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiosmtplib
import asyncpg
import boto3
import redis.asyncio
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from bff.settings import Settings as BffSettings
from launch import certificates, migrate
from launch.errors import Refusal
from launch.settings import read
from server.settings import Settings as ServerSettings
from server.work import mail_server

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

SECONDS = 5.0
OLDEST_POSTGRES = 15
MAX_CLOCK_SKEW = 5.0
SHORTEST_SECRET = 16

_ROLE = """
SELECT current_user AS name, rolsuper, rolbypassrls, rolcreaterole,
       (SELECT count(*) FROM pg_class
        WHERE relowner = pg_roles.oid AND relnamespace = 'public'::regnamespace) AS owned,
       current_setting('server_version_num')::int / 10000 AS version,
       extract(epoch FROM clock_timestamp())::float8 AS time
FROM pg_roles WHERE rolname = current_user
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; `mend` says what to do and is empty when all is well."""

    subject: str
    text: str
    mend: str = ""

    @property
    def well(self) -> bool:
        """True when nothing has to be done."""
        return not self.mend


async def run(values: Mapping[str, str]) -> list[Finding]:
    """Look at everything that these environment variables name; the order is the reader's."""
    checks: list[Awaitable[list[Finding]]] = [
        _server_role(values, "DATABASE_URL", "the server"),
        _server_role(values, "WORKER_DATABASE_URL", "background work"),
        _migrations(values),
        _redis(values),
        _objects(values),
        _smtp(values),
    ]
    found = await asyncio.gather(*checks)
    return [
        *_settings(values),
        *_certificates(values),
        *_secrets(values),
        _audit(values),
        *(finding for findings in found for finding in findings),
    ]


def _settings(values: Mapping[str, str]) -> list[Finding]:
    found = []
    for kind, process in ((ServerSettings, "server"), (BffSettings, "BFF")):
        try:
            read(kind)
            found.append(Finding(f"settings of the {process}", "accepted"))
        except Refusal as refusal:
            text = str(refusal).removeprefix("The settings are ")
            found.append(Finding(f"settings of the {process}", text, "see .env.example"))
    if not values.get("SECRET_KEYS"):
        text = "not set: each start makes keys of its own, and everybody has to sign in again"
        found.append(Finding("SECRET_KEYS", text, "set it to the answer of `openssl rand -hex 32`"))
    return found


def _certificates(values: Mapping[str, str]) -> list[Finding]:
    try:
        certificates.refuse_pair(values.get("TLS_CERT_FILE", ""), values.get("TLS_KEY_FILE", ""))
        for name in ("TLS_CLIENT_CA_FILE", "GRPC_CA_FILE"):
            certificates.refuse_authority(name, values.get(name, ""))
    except Refusal as refusal:
        return [Finding("certificates", str(refusal), "see .env.example")]
    return []


async def _server_role(values: Mapping[str, str], name: str, user: str) -> list[Finding]:
    role = await _ask(values, name, _ROLE)
    if isinstance(role, Finding):
        return [role]
    return [_privileges(name, role, user), _version(name, role), _clock(name, role)]


def _privileges(name: str, role: asyncpg.Record, user: str) -> Finding:
    faults = [
        text
        for held, text in (
            (role["rolsuper"], "is superuser"),
            (role["rolbypassrls"], "has BYPASSRLS"),
            (role["rolcreaterole"], "has CREATEROLE"),
            (role["owned"], f"owns {role['owned']} tables"),
        )
        if held
    ]
    if faults:
        return Finding(
            name,
            f"the role {role['name']} {', '.join(faults)}, which switches row-level security off",
            f"let {user} log in as a role of its own; see 'Roles' in docs/runbook.md",
        )
    return Finding(name, f"logged in as {role['name']}, which owns nothing")


def _version(name: str, role: asyncpg.Record) -> Finding:
    mend = "" if role["version"] >= OLDEST_POSTGRES else f"upgrade to {OLDEST_POSTGRES} or newer"
    return Finding(name, f"PostgreSQL {role['version']}", mend)


def _clock(name: str, role: asyncpg.Record) -> Finding:
    skew = abs(time.time() - role["time"])
    mend = "" if skew < MAX_CLOCK_SKEW else "run NTP on both machines"
    return Finding(name, f"clocks differ by {skew:.1f} s", mend)


async def _ask(values: Mapping[str, str], name: str, statement: str) -> Any:
    dsn = values.get(name)
    if not dsn:
        return Finding(name, "not set", f"set {name}; .env.example shows how")
    try:
        connection = await asyncpg.connect(dsn, timeout=SECONDS)
    except (OSError, asyncpg.PostgresError, ValueError, TimeoutError) as failure:
        return Finding(name, f"cannot log in: {_brief(failure)}", _login_mend(failure))
    try:
        return await connection.fetchrow(statement)
    finally:
        await connection.close()


def _login_mend(failure: Exception) -> str:
    if isinstance(failure, asyncpg.InvalidAuthorizationSpecificationError):
        return "correct the role or its password; see 'Roles' in docs/runbook.md"
    if isinstance(failure, asyncpg.InvalidCatalogNameError):
        return "create the database, owned by carelane_owner"
    return "start PostgreSQL, or correct the host and the port"


def _brief(failure: BaseException) -> str:
    text = str(failure).strip().splitlines()
    return text[0] if text else type(failure).__name__


async def _migrations(values: Mapping[str, str]) -> list[Finding]:
    name = "MIGRATE_DATABASE_URL"
    role = await _ask(values, name, _ROLE)
    if isinstance(role, Finding):
        return [role]
    try:
        pending = (await asyncio.to_thread(migrate.state, values[name])).pending
    except Refusal as refusal:
        return [Finding("schema", str(refusal), "see 'Upgrades' in docs/runbook.md")]
    if pending:
        text = f"behind by {len(pending)} (next is {pending[0]})"
        return [Finding("schema", text, "run `carelane migrate`")]
    return [Finding("schema", "at the newest revision")]


async def _redis(values: Mapping[str, str]) -> list[Finding]:
    name = "REDIS_URL"
    if not values.get(name):
        production = values.get("ENVIRONMENT") == "production"
        text = "not set: limits are counted per process"
        return [Finding(name, text, f"set {name}" if production else "")]
    try:
        never = Retry(NoBackoff(), 0)
        async with redis.asyncio.from_url(
            values[name], socket_timeout=SECONDS, retry=never
        ) as client:
            await client.ping()
    except (RedisError, OSError, ValueError) as failure:
        mend = "start Valkey or Redis, or correct the address and the password"
        return [Finding(name, f"no answer: {_brief(failure)}", mend)]
    return [Finding(name, "answers")]


async def _objects(values: Mapping[str, str]) -> list[Finding]:
    name = "S3_ENDPOINT_URL"
    if not values.get("S3_BUCKET"):
        return [Finding("S3_BUCKET", "not set: no files can be kept")]
    try:
        await asyncio.to_thread(_ask_bucket, values)
    except ClientError as failure:
        code = failure.response["Error"]["Code"]
        return [Finding(name, f"the bucket refuses ({code})", "correct the keys, make the bucket")]
    except (BotoCoreError, ValueError) as failure:
        return [Finding(name, f"no answer: {_brief(failure)}", "correct the address")]
    return [Finding(name, f"the bucket {values['S3_BUCKET']} opens")]


def _ask_bucket(values: Mapping[str, str]) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=values.get("S3_ENDPOINT_URL"),
        region_name=values.get("S3_REGION", "us-east-1"),
        aws_access_key_id=values.get("S3_ACCESS_KEY_ID"),
        aws_secret_access_key=values.get("S3_SECRET_ACCESS_KEY"),
        config=Config(connect_timeout=SECONDS, read_timeout=SECONDS, retries={"max_attempts": 0}),
    )
    client.head_bucket(Bucket=values["S3_BUCKET"])


def _audit(values: Mapping[str, str]) -> Finding:
    if values.get("AUDIT_FOLDER") or values.get("S3_BUCKET"):
        return Finding("audit", "its signed heads are copied outside the database")
    production = values.get("ENVIRONMENT") == "production"
    text = "no place outside: whoever is superuser can write all of it anew"
    return Finding("audit", text, "set AUDIT_FOLDER or S3_BUCKET" if production else "")


async def _smtp(values: Mapping[str, str]) -> list[Finding]:
    name = "SMTP_URL"
    url, folder = values.get(name), values.get("MAIL_FOLDER")
    if not url:
        production = values.get("ENVIRONMENT") == "production"
        text = f"not set: mails go to {folder}" if folder else "not set: no mail is sent"
        return [Finding(name, text, f"set {name}" if production else "")]
    try:
        async with asyncio.timeout(SECONDS):
            await mail_server(url, "").greet()
    except (aiosmtplib.SMTPException, OSError, ValueError) as failure:
        mend = "start the mail server, or correct the address and the password"
        return [Finding(name, f"no answer: {_brief(failure)}", mend)]
    return [Finding(name, "answers")]


def _secrets(values: Mapping[str, str]) -> list[Finding]:
    found = [(name, urlsplit(values.get(name, "")).password) for name in _WITH_PASSWORD]
    found.append(("S3_SECRET_ACCESS_KEY", values.get("S3_SECRET_ACCESS_KEY")))
    found += [
        (name, key.strip())
        for name in ("SECRET_KEYS", "COOKIE_KEYS")
        for key in values.get(name, "").split(",")
    ]
    weak = sorted({name for name, secret in found if secret and _is_weak(secret)})
    if weak:
        mend = f"use {SHORTEST_SECRET} random characters or more (`openssl rand -hex 24`)"
        return [Finding("secrets", f"weak in {', '.join(weak)}", mend)]
    return [Finding("secrets", "none is short or repetitive")]


_WITH_PASSWORD = ("DATABASE_URL", "WORKER_DATABASE_URL", "MIGRATE_DATABASE_URL", "REDIS_URL")


def _is_weak(secret: str) -> bool:
    return len(secret) < SHORTEST_SECRET or len(set(secret)) < SHORTEST_SECRET // 2
