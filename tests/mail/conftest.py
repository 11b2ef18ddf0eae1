"""A mail server on this machine, letters that wait, and the jobs that send them."""

import asyncio
from collections.abc import AsyncIterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from aiosmtpd.smtp import SMTP
from prometheus_client import CollectorRegistry

from launch.postgres import EmbeddedPostgres
from server.core import log
from server.core.clock import MovableClock
from server.core.db import Database, Transaction
from server.mail.letters import Delivery, Words
from server.mail.sending import MailMetrics, Post
from server.mail.transport import Smtp, Transport
from tests.rows import add

SENDER = "Carelane <no-reply@carelane.test>"


class MailServer:
    """A mail server that keeps what it is given, and answers `replies` first."""

    def __init__(self) -> None:
        self.received: list[EmailMessage] = []
        self.replies: list[str] = []

    async def handle_RCPT(
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if self.replies:
            return self.replies.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        message = message_from_bytes(envelope.content, policy=default)
        self.received.append(message)  # type: ignore[arg-type]
        return "250 OK"


@pytest.fixture
async def mail_server() -> AsyncIterator[tuple[MailServer, str]]:
    """A mail server and its URL."""
    keeper = MailServer()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(keeper, hostname="mail.test"), "127.0.0.1", 0)
    yield keeper, f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    await server.wait_closed()


@pytest.fixture
def smtp(mail_server: tuple[MailServer, str]) -> Smtp:
    return Smtp(mail_server[1], SENDER, clear=True)


@pytest.fixture
async def owner(postgres: EmbeddedPostgres) -> AsyncIterator[Any]:
    """A connection that sees every row; no letter waits."""
    connection = await asyncpg.connect(postgres.owner_dsn)
    await connection.execute("DELETE FROM mail")
    yield connection
    await connection.close()


@pytest.fixture
async def worker(postgres: EmbeddedPostgres, clock: MovableClock) -> AsyncIterator[Database]:
    """The database as background work sees it."""
    database = await Database.connect(postgres.worker_dsn, clock, size=4)
    yield database
    await database.close()


async def greeting(tx: Transaction, to: Delivery) -> Words:
    return Words("Good morning", f"Namaste {to.full_name}, about {to.subject_id}.\n")


async def nothing(tx: Transaction, to: Delivery) -> None:
    return None


def post(transport: Transport, **options: Any) -> Post:
    """Answer what sends by this transport alone, with numbers of its own."""
    return Post(
        {"greeting": greeting, "nothing": nothing},
        {"email": transport},
        logger=log.logger("CRITICAL"),
        metrics=MailMetrics(CollectorRegistry()),
        **options,
    )


async def add_mail(owner: Any, clock: MovableClock, **values: Any) -> UUID:
    """Put a letter into the queue, due now."""
    now = clock.now()
    usual = {
        "mail_id": uuid4(),
        "outbox_id": uuid4(),
        "kind": "greeting",
        "channel": "email",
        "address": "asha@mail.example",
        "subject_id": uuid4(),
        "create_time": now,
        "due_time": now,
        "expire_time": now.replace(year=now.year + 1),
    }
    row = usual | values
    await add(owner, "mail", **row)
    mail_id: UUID = row["mail_id"]
    return mail_id
