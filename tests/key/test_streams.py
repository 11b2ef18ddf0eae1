"""An open stream ends when its key is revoked, also when another process was told so."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import grpc
from prometheus_client import CollectorRegistry

from carelane.audit.v1 import audit_service_pb2 as pb
from carelane.audit.v1 import audit_service_pb2_grpc as grpc_pb
from server.auth.authenticator import TRUSTED_FOR, Authenticator
from server.core import log, rpc
from server.core.channel import InProcessChannel
from server.core.metrics import CallMetrics
from server.key.exchange import LiveKeys
from tests.key.conftest import ADMIN, Keys
from tests.refusal import refused


class Endless(grpc_pb.AuditServiceServicer):
    """An export that does not end by itself."""

    async def ExportAudit(
        self, request: pb.ExportAuditRequest, context: Any
    ) -> AsyncIterator[pb.ExportAuditResponse]:
        yield pb.ExportAuditResponse()
        await asyncio.Event().wait()


async def test_an_open_stream_ends_with_its_key(keys: Keys) -> None:
    world = keys.world
    elsewhere = Authenticator(world.db, world.tokens, check_key=LiveKeys(world.db))
    registry = rpc.Registry(
        elsewhere,
        logger=log.logger("CRITICAL"),
        metrics=CallMetrics(CollectorRegistry()),
        limits=rpc.Limits(recheck=0.02),
    )
    grpc_pb.add_AuditServiceServicer_to_server(Endless(), registry)
    made = await keys.make("audit.read", by=ADMIN)
    program = await keys.exchange(made)
    channel = InProcessChannel(registry)
    metadata = [("authorization", f"Bearer {program.token}")]
    call = grpc_pb.AuditServiceStub(channel).ExportAudit(pb.ExportAuditRequest(), metadata=metadata)
    assert await call.read() == pb.ExportAuditResponse()
    await keys.revoke(made, by=ADMIN)
    world.db.clock.advance(timedelta(seconds=10))  # type: ignore[attr-defined]
    refusal = await refused(call.read())
    assert refusal.code == grpc.StatusCode.UNAUTHENTICATED
    await channel.close()


def test_the_recheck_and_the_memory_stay_within_a_minute() -> None:
    assert rpc.Limits().recheck + TRUSTED_FOR.total_seconds() <= 60
