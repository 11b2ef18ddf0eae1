"""Background work put together: which jobs there are, and who hears of which event."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry

from server.account.handlers import HANDLERS as ACCOUNT
from server.account.letters import AccountLetters
from server.account.proofs import JOBS as ACCOUNT_JOBS
from server.account.tokens import ProofTokens
from server.appointment.paying import JOBS as PAYING_JOBS
from server.audit import heads as audit
from server.audit.sealing import JOBS as AUDIT_JOBS
from server.auth.jobs import JOBS as AUTH_JOBS
from server.core import log, repeats
from server.core.clock import Clock, SystemClock
from server.core.db import Database
from server.core.jobs import Job, JobMetrics, Runner
from server.core.outbox import Handler, Handlers, OutboxMetrics, Relay
from server.factor.jobs import JOBS as FACTOR_JOBS
from server.mail.sending import MailMetrics, Post
from server.mail.transport import Folder, Smtp, Transports
from server.notification.handlers import HANDLERS as NOTIFICATION
from server.queue.handlers import HANDLERS as QUEUE
from server.queue.jobs import JOBS as QUEUE_JOBS
from server.settings import Settings, is_local
from server.waitlist.handlers import HANDLERS as WAITLIST
from server.waitlist.jobs import JOBS as WAITLIST_JOBS

POOL_SIZE = 4

HANDLERS: Iterable[Handlers] = (ACCOUNT, NOTIFICATION, QUEUE, WAITLIST)


@asynccontextmanager
async def opened(settings: Settings, clock: Clock | None = None) -> AsyncIterator[Database]:
    """Connect as the role of background work."""
    dsn = settings.worker_database_url.get_secret_value()
    database = await Database.connect(dsn, clock or SystemClock(), size=POOL_SIZE)
    try:
        yield database
    finally:
        await database.close()


async def work(
    database: Database,
    stop: asyncio.Event,
    *,
    settings: Settings,
    logger: log.Logger,
    metrics: CollectorRegistry,
) -> None:
    """Run every job until `stop` is set."""
    relay = Relay(_together(HANDLERS), logger=logger, metrics=OutboxMetrics(metrics))
    jobs: list[Job] = [
        *relay.jobs(),
        *repeats.JOBS,
        *AUDIT_JOBS,
        *audit.Copying(audit.Signer(settings.keys_of_audit), audit_places(settings)).jobs(),
        *AUTH_JOBS,
        *ACCOUNT_JOBS,
        *FACTOR_JOBS,
        *PAYING_JOBS,
        *QUEUE_JOBS,
        *WAITLIST_JOBS,
        *_mail_jobs(settings, logger, metrics),
    ]
    await Runner(database, logger=logger, metrics=JobMetrics(metrics)).run(jobs, stop)


def _mail_jobs(settings: Settings, logger: log.Logger, metrics: CollectorRegistry) -> Iterable[Job]:
    """Answer the jobs that send mail: none where there is no way to send it."""
    ways = transports(settings)
    if not ways:
        return ()
    tokens = ProofTokens(settings.keys.derive("account proof"))
    letters = AccountLetters(settings.web_url, tokens).table()
    return Post(letters, ways, logger=logger, metrics=MailMetrics(metrics)).jobs()


def transports(settings: Settings) -> Transports:
    """Answer how letters leave, by channel: a mail server, or the folder of who develops."""
    ways: dict[str, Smtp | Folder] = {}
    if settings.mail_folder:
        folder = Folder(Path(settings.mail_folder), settings.mail_sender)
        ways |= {"email": folder, "sms": folder}
    if url := settings.smtp_url.get_secret_value():
        ways["email"] = mail_server(url, settings.mail_sender)
    return ways


def mail_server(url: str, sender: str) -> Smtp:
    """Answer a mail server; only one on this machine is spoken to in clear."""
    return Smtp(url, sender, clear=is_local(f"{urlsplit(url).hostname}:0"))


def audit_places(settings: Settings) -> list[audit.Place]:
    """Answer where heads of the audit are copied to: a folder, a bucket, or both."""
    places: list[audit.Place] = []
    if settings.audit_folder:
        places.append(audit.Folder(Path(settings.audit_folder)))
    if settings.s3_bucket:
        # takes a third of a second, which not every process has to wait for
        from server.audit.bucket import Bucket  # noqa: PLC0415

        places.append(
            Bucket(
                settings.s3_bucket,
                url=settings.s3_endpoint_url,
                region=settings.s3_region,
                access_key=settings.s3_access_key_id,
                secret_key=settings.s3_secret_access_key.get_secret_value(),
            )
        )
    return places


def _together(tables: Iterable[Handlers]) -> Handlers:
    """Join the tables of the domains: a topic may be of interest to several."""
    joined: dict[str, list[Handler]] = defaultdict(list)
    for table in tables:
        for topic, handlers in table.items():
            joined[topic] += handlers
    return joined
