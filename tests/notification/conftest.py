"""The notification service, its relay, and a connection that sees every row."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from prometheus_client import CollectorRegistry

from carelane.notification.v1 import notification_service_pb2_grpc as grpc_pb
from launch.postgres import EmbeddedPostgres
from server.core import log
from server.core.clock import MovableClock
from server.core.db import Database
from server.core.outbox import OutboxMetrics, Relay
from server.core.paging import Pager
from server.notification.handlers import HANDLERS
from server.notification.servicer import NotificationServicer
from tests.rows import Served


@pytest.fixture
async def owner(postgres: EmbeddedPostgres) -> AsyncIterator[Any]:
    """A connection that sees every row; the outbox is emptied first."""
    connection = await asyncpg.connect(postgres.owner_dsn)
    await connection.execute("DELETE FROM outbox")
    yield connection
    await connection.close()


@pytest.fixture
async def worker(postgres: EmbeddedPostgres) -> AsyncIterator[Database]:
    """The database as background work sees it."""
    database = await Database.connect(postgres.worker_dsn, MovableClock(), size=4)
    yield database
    await database.close()


@pytest.fixture
def relay() -> Relay:
    """The relay with the handlers of this domain."""
    metrics = OutboxMetrics(CollectorRegistry())
    return Relay(HANDLERS, logger=log.logger("CRITICAL"), metrics=metrics)


@pytest.fixture
def notifications(committed: Database) -> Served:
    """NotificationService behind the guard."""
    return Served(
        grpc_pb.add_NotificationServiceServicer_to_server,
        NotificationServicer(committed, Pager(b"a secret of the tests")),
        grpc_pb.NotificationServiceStub,
    )
