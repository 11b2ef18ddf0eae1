"""AccountService beside AuthService, and the mail that comes of calling them.

It runs on a database that commits, with background work under its own role.
"""

import re
import secrets
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import asyncpg
import pytest
from argon2 import PasswordHasher
from prometheus_client import CollectorRegistry

from carelane.account.v1 import account_service_pb2 as pb
from carelane.account.v1 import account_service_pb2_grpc
from launch.postgres import EmbeddedPostgres
from server.account.handlers import HANDLERS
from server.account.letters import AccountLetters
from server.account.servicer import AccountServicer, Means
from server.account.tokens import ProofTokens
from server.auth.passwords import Passwords
from server.core import log, rpc
from server.core.channel import InProcessChannel
from server.core.clock import MovableClock
from server.core.db import Database
from server.core.metrics import CallMetrics
from server.core.outbox import OutboxMetrics, Relay
from server.mail.sending import MailMetrics, Post
from server.mail.transport import Outgoing
from tests.auth.auth_client import Auth

WEB = "https://app.carelane.test"


class Inbox:
    """A transport that keeps what would be sent."""

    def __init__(self) -> None:
        self.received: list[Outgoing] = []

    async def send(self, letter: Outgoing) -> None:
        self.received.append(letter)


class Letter(NamedTuple):
    """A letter, with the token of its link, if it has one."""

    to: str
    subject: str
    body: str

    @property
    def token(self) -> str:
        (token,) = re.findall(r"#token=(\S+)", self.body)
        return str(token)


class Account:
    """The service: `await account.VerifyEmail(token=…)`; `auth` is where its people sign in."""

    def __init__(self, db: Database, worker: Database, passwords: Passwords) -> None:
        self.db = db
        self.auth = Auth(db, passwords)
        self.tokens = ProofTokens([secrets.token_bytes(32)])
        self._worker = worker
        self._inbox = Inbox()
        logger = log.logger("CRITICAL")
        registry = rpc.Registry(
            self.auth.authenticator, logger=logger, metrics=CallMetrics(CollectorRegistry())
        )
        means = Means(
            self.auth.authenticator, passwords, self.auth._attempts, self.tokens, sends_texts=True
        )
        account_service_pb2_grpc.add_AccountServiceServicer_to_server(
            AccountServicer(db, means), registry
        )
        self.channel = InProcessChannel(registry)
        self._stub = account_service_pb2_grpc.AccountServiceStub(self.channel)
        self._relay = Relay(HANDLERS, logger=logger, metrics=OutboxMetrics(CollectorRegistry()))
        ways = {"email": self._inbox, "sms": self._inbox}
        self._post = Post(
            AccountLetters(WEB, self.tokens).table(),
            ways,
            logger=logger,
            metrics=MailMetrics(CollectorRegistry()),
        )

    def __getattr__(self, name: str) -> Any:
        request_type = getattr(pb, f"{name}Request")
        call = getattr(self._stub, name)

        async def ask(token_of: str = "", address: str = "203.0.113.1", **fields: Any) -> Any:
            metadata = [("x-forwarded-for", address)]
            if token_of:
                metadata.append(("authorization", f"Bearer {token_of}"))
            if "request_id" in request_type.DESCRIPTOR.fields_by_name:
                fields = {"request_id": str(uuid4())} | fields
            return await call(request_type(**fields), metadata=metadata)

        return ask

    async def letters(self) -> list[Letter]:
        """Do the background work, and answer what has come since the last time."""
        while await self._relay.deliver(self._worker):
            pass
        while await self._post.deliver(self._worker):
            pass
        came = [Letter(each.to, each.subject, each.body) for each in self._inbox.received]
        self._inbox.received.clear()
        return came

    async def letter(self) -> Letter:
        """Answer the only letter that has come."""
        (came,) = await self.letters()
        return came


@pytest.fixture(scope="session")
def passwords() -> Iterator[Passwords]:
    """Hashing at next to no cost."""
    made = Passwords(PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    yield made
    made.close()


@pytest.fixture
async def owner(postgres: EmbeddedPostgres) -> AsyncIterator[Any]:
    """A connection that sees every row; nothing waits to be delivered."""
    connection = await asyncpg.connect(postgres.owner_dsn)
    await connection.execute("DELETE FROM outbox")
    await connection.execute("DELETE FROM mail")
    yield connection
    await connection.close()


@pytest.fixture
async def account(
    committed: Database, owner: Any, postgres: EmbeddedPostgres, passwords: Passwords
) -> AsyncIterator[Account]:
    """The service on a database that commits, and background work under its own role."""
    before = committed.clock
    clock = committed.clock = MovableClock()
    worker = await Database.connect(postgres.worker_dsn, clock, size=3)
    made = Account(committed, worker, passwords)
    yield made
    await made.channel.close()
    await made.auth.channel.close()
    await worker.close()
    committed.clock = before


async def outcome(owner: Any, email: str, column: str) -> Any:
    """Read a column of the account with this address."""
    return await owner.fetchval(f"SELECT {column} FROM user_account WHERE email = $1", email)


async def user_id(owner: Any, email: str) -> UUID:
    found: UUID = await outcome(owner, email, "user_id")
    return found
