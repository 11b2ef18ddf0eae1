"""The administrators' service, and a connection that sees every row."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from carelane.admin.v1 import admin_service_pb2_grpc as grpc_pb
from launch.postgres import EmbeddedPostgres
from server.admin.servicer import AdminServicer
from server.core.db import Database
from server.core.paging import Pager
from tests.rows import Served


@pytest.fixture
async def owner(postgres: EmbeddedPostgres) -> AsyncIterator[Any]:
    """A connection that sees every row."""
    connection = await asyncpg.connect(postgres.owner_dsn)
    yield connection
    await connection.close()


@pytest.fixture
def admin(committed: Database) -> Served:
    """AdminService behind the guard."""
    return Served(
        grpc_pb.add_AdminServiceServicer_to_server,
        AdminServicer(committed, Pager(b"a secret of the tests")),
        grpc_pb.AdminServiceStub,
    )
