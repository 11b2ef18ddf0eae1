"""Whether this server can serve: it follows the database, and the stop."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc
from sqlalchemy import literal_column, select

from server.core import log
from server.core.db import Database, sql
from server.core.errors import Unavailable
from server.core.rpc import Registry

INTERVAL = 2.0
PATIENCE = 2.0
ASK = sql(select(literal_column("1")))

Status = health_pb2.HealthCheckResponse


class Health:
    """grpc.health.v1.Health for the whole server and for each of its services."""

    def __init__(self, db: Database, services: Sequence[str], logger: log.Logger) -> None:
        self._db = db
        self._log = logger
        self._names = ("", *services)
        self._servicer = health.aio.HealthServicer()  # type: ignore[attr-defined] # the stubs lack it
        self.ready = False
        self._stopping = False

    def register(self, registry: Registry) -> None:
        """Add the health service."""
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, registry)

    async def check(self) -> bool:
        """Ask the database, and say so to whoever asks or watches."""
        ready = await self._answers() and not self._stopping
        if ready != self.ready:
            self._log.info("ready" if ready else "not ready")
        self.ready = ready
        await self._tell(Status.SERVING if ready else Status.NOT_SERVING)
        return ready

    async def stop(self) -> None:
        """Say NOT_SERVING from now on."""
        self.ready, self._stopping = False, True
        await self._servicer.enter_graceful_shutdown()

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Check now, and every two seconds while the block runs."""
        await self.check()
        watching = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            watching.cancel()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL)
            await self.check()

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(PATIENCE):
                await self._db.one(ASK)
        except (Unavailable, TimeoutError):
            return False
        except Exception as error:  # noqa: BLE001 - a server that cannot tell is not ready
            self._log.error("health", **log.failure(error))
            return False
        return True

    async def _tell(self, status: int) -> None:
        for name in self._names:
            await self._servicer.set(name, status)


def reflect(registry: Registry) -> None:
    """Let clients ask for the contract of every service that is registered."""
    names = (*registry.services, reflection.SERVICE_NAME)
    servicer = reflection.aio.ReflectionServicer(names)  # type: ignore[attr-defined] # the stubs lack it
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, registry)
