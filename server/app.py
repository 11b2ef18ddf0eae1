"""The server put together: what is opened, who serves, and how all of it ends."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from carelane.account.v1 import account_service_pb2_grpc
from carelane.admin.v1 import admin_service_pb2_grpc
from carelane.appointment.v1 import appointment_service_pb2_grpc
from carelane.audit.v1 import audit_service_pb2_grpc
from carelane.auth.v1 import auth_service_pb2_grpc
from carelane.availability.v1 import availability_service_pb2_grpc
from carelane.calendar.v1 import calendar_service_pb2_grpc
from carelane.directory.v1 import directory_service_pb2_grpc
from carelane.factor.v1 import factor_service_pb2_grpc
from carelane.key.v1 import key_service_pb2_grpc
from carelane.notification.v1 import notification_service_pb2_grpc
from carelane.patient.v1 import patient_service_pb2_grpc
from carelane.queue.v1 import queue_service_pb2_grpc
from carelane.waitlist.v1 import waitlist_service_pb2_grpc
from server.account.servicer import AccountServicer, Means
from server.account.tokens import ProofTokens
from server.account.verified import VerifiedEmail
from server.admin.servicer import AdminServicer
from server.appointment.servicer import AppointmentServicer
from server.audit.servicer import AuditServicer
from server.auth.attempts import DEFAULT_RULES, ONE_MACHINE_RULES, Attempts
from server.auth.authenticator import Authenticator
from server.auth.keyed import KeyedHash
from server.auth.limits import Limits
from server.auth.passwords import Passwords
from server.auth.secrets import Secrets
from server.auth.servicer import AuthServicer
from server.auth.tokens import SigningKey, Tokens
from server.availability import service as availability
from server.availability.servicer import AvailabilityServicer
from server.calendar.feeds import Secrets as FeedSecrets
from server.calendar.servicer import CalendarServicer
from server.core import log, rpc
from server.core.clock import Clock, SystemClock
from server.core.db import Database
from server.core.keys import Keys
from server.core.metrics import CallMetrics
from server.core.paging import Pager
from server.directory.servicer import DirectoryServicer
from server.factor.passkeys import RelyingParty
from server.factor.sealing import Sealing
from server.factor.service import Factors
from server.factor.servicer import FactorServicer
from server.health import Health, reflect
from server.key.exchange import LiveKeys
from server.key.secret import SecretHashes
from server.key.servicer import KeyServicer
from server.key.servicer import Means as KeyMeans
from server.notification.servicer import NotificationServicer
from server.patient.servicer import PatientServicer
from server.queue.servicer import QueueServicer
from server.settings import Settings
from server.waitlist.servicer import WaitlistServicer

Servicers = Iterable[tuple[Callable[[Any, Any], None], object]]


@dataclass(frozen=True, slots=True)
class Parts:
    """What servicers are built from."""

    settings: Settings
    db: Database
    redis: Redis | None
    logger: log.Logger
    metrics: CollectorRegistry
    pager: Pager
    authenticator: Authenticator
    secrets: Secrets
    feed_secrets: FeedSecrets
    factors: Factors


@dataclass(frozen=True, slots=True)
class App:
    """A server that can be called; `registry` is for gRPC servers and in-process channels."""

    parts: Parts
    registry: rpc.Registry
    health: Health

    async def drain(self) -> None:
        """Say NOT_SERVING and end open streams with UNAVAILABLE; other calls go on."""
        await self.health.stop()
        self.registry.drain()


def _servicers(parts: Parts) -> Servicers:
    """List every service: how it is added, and who serves it."""
    db = parts.db
    admit = VerifiedEmail(db, required=parts.settings.asks_for_verified_email)
    return (
        *_of_accounts(parts),
        (
            directory_service_pb2_grpc.add_DirectoryServiceServicer_to_server,
            _directory(parts),
        ),
        (
            availability_service_pb2_grpc.add_AvailabilityServiceServicer_to_server,
            AvailabilityServicer(db, parts.pager),
        ),
        (
            appointment_service_pb2_grpc.add_AppointmentServiceServicer_to_server,
            AppointmentServicer(
                db,
                parts.pager,
                hold_time=timedelta(minutes=parts.settings.hold_minutes),
                admit=admit,
            ),
        ),
        (
            calendar_service_pb2_grpc.add_CalendarServiceServicer_to_server,
            CalendarServicer(db, parts.feed_secrets),
        ),
        (queue_service_pb2_grpc.add_QueueServiceServicer_to_server, QueueServicer(db)),
        (
            patient_service_pb2_grpc.add_PatientServiceServicer_to_server,
            PatientServicer(db, parts.pager),
        ),
        (
            notification_service_pb2_grpc.add_NotificationServiceServicer_to_server,
            NotificationServicer(db, parts.pager),
        ),
        (
            waitlist_service_pb2_grpc.add_WaitlistServiceServicer_to_server,
            WaitlistServicer(db, parts.pager, admit=admit),
        ),
        (
            admin_service_pb2_grpc.add_AdminServiceServicer_to_server,
            AdminServicer(db, parts.pager),
        ),
        (
            audit_service_pb2_grpc.add_AuditServiceServicer_to_server,
            AuditServicer(db, parts.pager),
        ),
    )


def _directory(parts: Parts) -> DirectoryServicer:
    return DirectoryServicer(
        parts.db,
        parts.pager,
        parts.secrets.attempts,
        next_free=availability.next_free,
        open_calendar=availability.open_calendar,
    )


def _of_accounts(parts: Parts) -> Servicers:
    """List the services of accounts."""
    secrets = parts.secrets
    tokens = ProofTokens(parts.settings.keys.derive("account proof"))
    means = Means(
        parts.authenticator,
        secrets.passwords,
        secrets.attempts,
        tokens,
        sends_texts=bool(parts.settings.mail_folder),
    )
    return (
        (
            auth_service_pb2_grpc.add_AuthServiceServicer_to_server,
            AuthServicer(parts.db, parts.authenticator, secrets, parts.factors),
        ),
        (
            factor_service_pb2_grpc.add_FactorServiceServicer_to_server,
            FactorServicer(
                parts.db,
                parts.authenticator,
                secrets,
                parts.factors,
                required=parts.settings.asks_for_second_factor,
            ),
        ),
        (
            key_service_pb2_grpc.add_KeyServiceServicer_to_server,
            KeyServicer(parts.db, _key_means(parts)),
        ),
        (
            account_service_pb2_grpc.add_AccountServiceServicer_to_server,
            AccountServicer(parts.db, means),
        ),
    )


def build(parts: Parts) -> App:
    """Put the servicers behind the guard; LookupError for an RPC that does not say who may call."""
    registry = rpc.Registry(
        parts.authenticator,
        logger=parts.logger,
        metrics=CallMetrics(parts.metrics),
        trusted=parts.settings.proxies,
    )
    for add, servicer in _servicers(parts):
        add(servicer, registry)
    health = Health(parts.db, registry.services, parts.logger)
    health.register(registry)
    if parts.settings.reflection:
        reflect(registry)
    return App(parts, registry, health)


@asynccontextmanager
async def opened(
    settings: Settings,
    *,
    clock: Clock | None = None,
    logger: log.Logger | None = None,
    metrics: CollectorRegistry | None = None,
) -> AsyncIterator[App]:
    """Connect to everything that the settings name, and close it in the end."""
    clock = clock or SystemClock()
    logger = logger or log.logger(settings.log_level)
    dsn = settings.database_url.get_secret_value()
    db = await Database.connect(dsn, clock, size=settings.database_pool_size)
    redis = _redis(settings)
    passwords = Passwords()
    try:
        parts = _parts(settings, db, logger, metrics or CollectorRegistry(), passwords, redis)
        app = build(parts)
        async with app.health.watching():
            yield app
    finally:
        passwords.close()
        if redis is not None:
            await redis.aclose()
        await db.close()


def _parts(
    settings: Settings,
    db: Database,
    logger: log.Logger,
    metrics: CollectorRegistry,
    passwords: Passwords,
    redis: Redis | None,
) -> Parts:
    keys = settings.keys
    tokens = Tokens(
        _signing_keys(keys),
        issuer=settings.token_issuer,
        audience=settings.token_audience,
        clock=db.clock,
    )
    rules = DEFAULT_RULES if settings.environment == "production" else ONE_MACHINE_RULES
    attempts = Attempts(Limits(db.clock, logger, redis), rules)
    pager = Pager(*keys.derive("page token"))
    return Parts(
        settings=settings,
        db=db,
        redis=redis,
        logger=logger,
        metrics=metrics,
        pager=pager,
        authenticator=Authenticator(
            db,
            tokens,
            second_factor=settings.asks_for_second_factor,
            check_key=LiveKeys(db),
        ),
        secrets=Secrets(
            tokens, KeyedHash(keys.derive("refresh token")), passwords, attempts, pager
        ),
        feed_secrets=FeedSecrets(keys.derive("calendar feed")[0]),
        factors=Factors(Sealing(settings.keys_of_factors), _relying_party(settings)),
    )


def _key_means(parts: Parts) -> KeyMeans:
    return KeyMeans(
        parts.authenticator,
        parts.secrets.tokens,
        parts.secrets.attempts,
        parts.pager,
        SecretHashes(parts.settings.keys_of_programs),
    )


def _relying_party(settings: Settings) -> RelyingParty:
    domain = settings.passkey_domain or urlsplit(settings.web_url).hostname or ""
    return RelyingParty(domain, (settings.web_url, *settings.passkey_origins))


def _signing_keys(keys: Keys) -> list[SigningKey]:
    purpose = "access token"
    pairs = zip(keys.names(purpose), keys.derive(purpose), strict=True)
    return [SigningKey(name, Ed25519PrivateKey.from_private_bytes(key)) for name, key in pairs]


def _redis(settings: Settings) -> Redis | None:
    url = settings.redis_url.get_secret_value()
    return Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1) if url else None
