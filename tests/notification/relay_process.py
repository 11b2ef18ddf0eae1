"""A worker in a process of its own, that stops in the middle of a batch and waits to be killed.

`python -m tests.notification.relay_process DSN COUNT`: it says "stuck" when it has handed over that
many events of the batch, in a transaction that is still open.
"""

import asyncio
import sys

from prometheus_client import CollectorRegistry

from server.core import log
from server.core.clock import SystemClock
from server.core.db import Database, Transaction
from server.core.outbox import Event, Handler, OutboxMetrics, Relay
from server.notification.handlers import HANDLERS


async def relay_until(dsn: str, count: int) -> None:
    """Deliver `count` events of a batch, then wait."""
    left = count

    async def stick(tx: Transaction, event: Event) -> None:
        nonlocal left
        left -= 1
        if not left:
            print("stuck", flush=True)  # noqa: T201 - the test listens
            await asyncio.Event().wait()

    handlers: dict[str, tuple[Handler, ...]] = {
        topic: (*told, stick) for topic, told in HANDLERS.items()
    }
    metrics = OutboxMetrics(CollectorRegistry())
    relay = Relay(handlers, logger=log.logger("CRITICAL"), metrics=metrics)
    await relay.deliver(await Database.connect(dsn, SystemClock(), size=1))


if __name__ == "__main__":
    asyncio.run(relay_until(sys.argv[1], int(sys.argv[2])))
