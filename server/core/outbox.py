"""The relay: tells the domains that listen what others have changed.

An event is written in the transaction of the change, and deleted in the one in which its handlers
write what follows from it: an effect inside the database happens exactly once, whoever is killed
when. Handlers are safe to repeat nevertheless, by a unique key with the event's id.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from prometheus_client import CollectorRegistry, Counter, Gauge
from sqlalchemy import Integer, Interval, Uuid, any_, bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY

from server.core import log
from server.core.db import Database, Transaction, sql
from server.core.errors import Unavailable
from server.core.jobs import Job
from server.core.schema import Outbox

BATCH = 100
POLL_SECONDS = 0.5
MAX_BACKOFF_SECONDS = 3600
COUNTED = 10_000


class Event(NamedTuple):
    """Something that was changed: `topic` is the action, `payload` ids and states."""

    outbox_id: UUID
    topic: str
    subject_id: UUID
    clinic_id: UUID | None
    payload: dict[str, Any]
    create_time: datetime
    attempts: int


Handler = Callable[[Transaction, Event], Awaitable[None]]
Handlers = Mapping[str, Sequence[Handler]]

# As a subquery the present instant is computed once, so that the index can be used.
_NOW = select(func.app_now()).scalar_subquery()
_DUE = (
    select(*(getattr(Outbox, name) for name in Event._fields))
    .where(Outbox.due_time <= _NOW)
    .with_for_update(skip_locked=True)
)
TAKE = sql(
    _DUE.order_by(Outbox.due_time, Outbox.outbox_id).limit(bindparam("limit", type_=Integer))
)
TAKE_ONE = sql(_DUE.where(Outbox.outbox_id == bindparam("id")))
DELETE = sql(delete(Outbox).where(Outbox.outbox_id == any_(bindparam("ids", type_=ARRAY(Uuid)))))
PUT_OFF = sql(
    update(Outbox)
    .where(Outbox.outbox_id == bindparam("id"), Outbox.attempts == bindparam("before"))
    .values(
        attempts=Outbox.attempts + 1,
        last_error=bindparam("error"),
        due_time=func.app_now() + bindparam("wait", type_=Interval),
    )
)
_waiting = (
    select(Outbox.due_time, Outbox.attempts).order_by(Outbox.due_time).limit(COUNTED).subquery()
)
COUNT = sql(
    select(
        func.count().label("depth"),
        func.count().filter(_waiting.c.attempts > 0).label("failing"),
        func.extract("epoch", _NOW - func.min(_waiting.c.due_time)).label("lag"),
    ).select_from(_waiting)
)


class OutboxMetrics:
    """How far the relay is behind, and how it fares."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.delivered = Counter(
            "carelane_outbox_delivered", "Events delivered.", ("topic",), registry=registry
        )
        self.failed = Counter(
            "carelane_outbox_failed", "Deliveries that failed.", ("topic",), registry=registry
        )
        self.depth = Gauge(
            "carelane_outbox_depth", f"Events that wait, at most {COUNTED}.", registry=registry
        )
        self.failing = Gauge(
            "carelane_outbox_failing",
            "Events that wait and have failed before.",
            registry=registry,
        )
        self.lag = Gauge(
            "carelane_outbox_lag_seconds",
            "How long the first event that is due has been so.",
            registry=registry,
        )


class Relay:
    """Delivers events to the handlers of their topics; a topic without any is nobody's."""

    def __init__(
        self, handlers: Handlers, *, logger: log.Logger, metrics: OutboxMetrics, batch: int = BATCH
    ) -> None:
        self._handlers = handlers
        self._log = logger
        self._metrics = metrics
        self._batch = batch

    def jobs(self) -> list[Job]:
        """Answer the jobs that deliver, and that measure what waits."""
        return [
            Job("outbox", POLL_SECONDS, self.deliver),
            Job("outbox_count", 5.0, self.count),
        ]

    async def deliver(self, database: Database) -> bool:
        """Deliver a batch of what is due, in one transaction; answer whether more may wait.

        When a handler fails, the events of the batch are delivered one by one, so that it holds
        up no other; its own is put off.
        """
        events: list[Event] = []
        try:
            async with database.transaction() as tx:
                events += [Event(*row.values()) for row in await tx.all(TAKE, limit=self._batch)]
                await self._hand_over(tx, events)
        except Unavailable:
            raise
        except Exception:
            if not events:
                raise
            for event in events:
                await self._deliver_alone(database, event)
        else:
            self._note(events)
        return len(events) == self._batch

    async def count(self, database: Database) -> bool:
        """Measure what waits."""
        async with database.transaction() as tx:
            row = await tx.one(COUNT)
        if row is not None:
            self._metrics.depth.set(row["depth"])
            self._metrics.failing.set(row["failing"])
            self._metrics.lag.set(max(0.0, float(row["lag"] or 0)))
        return False

    async def _deliver_alone(self, database: Database, event: Event) -> None:
        try:
            async with database.transaction() as tx:
                if await tx.one(TAKE_ONE, id=event.outbox_id) is None:
                    return
                await self._hand_over(tx, [event])
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - it is noted, and the others go on
            await self._put_off(database, event, error)
        else:
            self._note([event])

    async def _hand_over(self, tx: Transaction, events: Sequence[Event]) -> None:
        for event in events:
            for handler in self._handlers.get(event.topic, ()):
                await handler(tx, event)
        if events:
            await tx.run(DELETE, ids=[event.outbox_id for event in events])

    async def _put_off(self, database: Database, event: Event, error: Exception) -> None:
        """Note the failure by its class alone: an exception's text may hold what people wrote."""
        self._metrics.failed.labels(event.topic).inc()
        self._log.error(
            "outbox", topic=event.topic, outbox_id=str(event.outbox_id), **log.failure(error)
        )
        wait = timedelta(seconds=min(2 ** min(event.attempts, 30), MAX_BACKOFF_SECONDS))
        values = {"id": event.outbox_id, "before": event.attempts, "wait": wait}
        async with database.transaction() as tx:
            await tx.run(PUT_OFF, error=type(error).__name__, **values)

    def _note(self, events: Sequence[Event]) -> None:
        for event in events:
            self._metrics.delivered.labels(event.topic).inc()
