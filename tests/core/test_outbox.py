"""The relay: every event to every handler of its topic, whatever fails in between."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from prometheus_client import CollectorRegistry

from launch.postgres import EmbeddedPostgres
from server.core import log
from server.core.access import Caller
from server.core.clock import MovableClock
from server.core.db import Database, Transaction
from server.core.errors import Unavailable
from server.core.outbox import TAKE, Event, Handler, OutboxMetrics, Relay


@pytest.fixture
async def worker(postgres: EmbeddedPostgres) -> AsyncIterator[Database]:
    database = await Database.connect(postgres.worker_dsn, MovableClock(), size=10)
    yield database
    await database.close()


@pytest.fixture
async def owner(postgres: EmbeddedPostgres) -> AsyncIterator[Any]:
    """A connection that sees every row; the outbox is emptied first."""
    connection = await asyncpg.connect(postgres.owner_dsn)
    await connection.execute("DELETE FROM outbox")
    yield connection
    await connection.close()


class Desk:
    """Handlers that leave an audit row as their effect, and know what they were given."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.metrics = OutboxMetrics(self.registry)
        self.seen: list[Event] = []
        self.fails: set[UUID] = set()

    async def note(self, tx: Transaction, event: Event) -> None:
        self.seen.append(event)
        tx.record("noted", event.subject_id)
        if event.subject_id in self.fails:
            raise ValueError("the patient is called Asha")

    def relay(self, *handlers: Handler, batch: int = 100) -> Relay:
        listening = {"visit.moved": handlers or (self.note,)}
        return Relay(listening, logger=log.logger("CRITICAL"), metrics=self.metrics, batch=batch)


async def tell(
    committed: Database, *subjects: UUID, topic: str = "visit.moved", **payload: Any
) -> None:
    async with committed.transaction(Caller(uuid4(), "patient")) as tx:
        for subject in subjects:
            tx.record(topic, subject, event=payload)


async def noted(owner: Any, *subjects: UUID) -> list[UUID]:
    rows = await owner.fetch(
        "SELECT subject_id FROM audit WHERE action = 'noted' AND subject_id = ANY ($1)", subjects
    )
    return sorted(UUID(int=row["subject_id"].int) for row in rows)


async def waiting(owner: Any) -> list[asyncpg.Record]:
    return list(await owner.fetch("SELECT * FROM outbox ORDER BY outbox_id"))


async def make_due(owner: Any) -> None:
    await owner.execute("UPDATE outbox SET due_time = app_now()")


async def test_an_event_reaches_its_handler_with_all_it_holds(
    committed: Database, worker: Database, owner: Any
) -> None:
    desk, subject, patient = Desk(), uuid4(), uuid4()
    await tell(committed, subject, patient_id=patient)
    await desk.relay().deliver(worker)
    assert [(e.topic, e.subject_id, e.payload) for e in desk.seen] == [
        ("visit.moved", subject, {"patient_id": str(patient)})
    ]


async def test_a_delivered_event_is_gone_and_its_effect_is_there(
    committed: Database, worker: Database, owner: Any
) -> None:
    desk, subject = Desk(), uuid4()
    await tell(committed, subject)
    for _ in range(2):
        await desk.relay().deliver(worker)
    assert await waiting(owner) == []
    assert await noted(owner, subject) == [subject]


async def test_every_handler_of_a_topic_is_called(
    committed: Database, worker: Database, owner: Any
) -> None:
    desk, subject = Desk(), uuid4()
    await tell(committed, subject)
    await desk.relay(desk.note, desk.note).deliver(worker)
    assert await noted(owner, subject) == [subject, subject]


async def test_a_topic_without_listeners_is_delivered_to_nobody(
    committed: Database, worker: Database, owner: Any
) -> None:
    await tell(committed, uuid4(), topic="nobody.listens")
    await Desk().relay().deliver(worker)
    assert await waiting(owner) == []


async def test_a_failing_event_holds_up_no_other_and_leaves_no_effect(
    committed: Database, worker: Database, owner: Any
) -> None:
    desk, subjects = Desk(), sorted(uuid4() for _ in range(5))
    bad = subjects[2]
    desk.fails.add(bad)
    await tell(committed, *subjects)
    await desk.relay().deliver(worker)
    assert await noted(owner, *subjects) == [one for one in subjects if one != bad]
    assert [row["subject_id"] for row in await waiting(owner)] == [bad]


async def test_a_failure_is_noted_by_its_class_alone_and_put_off(
    committed: Database, worker: Database, owner: Any
) -> None:
    desk, subject = Desk(), uuid4()
    desk.fails.add(subject)
    await tell(committed, subject)
    for _ in range(2):
        await desk.relay().deliver(worker)
    (row,) = await waiting(owner)
    assert (row["attempts"], row["last_error"]) == (1, "ValueError")
    assert row["due_time"] > row["create_time"]


async def test_a_failed_event_is_delivered_once_it_can_be(
    committed: Database, worker: Database, owner: Any
) -> None:
    desk, subject = Desk(), uuid4()
    desk.fails.add(subject)
    await tell(committed, subject)
    await desk.relay().deliver(worker)
    desk.fails.clear()
    await make_due(owner)
    await desk.relay().deliver(worker)
    assert await noted(owner, subject) == [subject]
    assert await waiting(owner) == []


async def test_the_wait_grows_with_every_failure(
    committed: Database, worker: Database, owner: Any
) -> None:
    desk, subject = Desk(), uuid4()
    desk.fails.add(subject)
    await tell(committed, subject)
    waits = []
    for _ in range(4):
        await make_due(owner)
        await desk.relay().deliver(worker)
        waits.append(
            await owner.fetchval(
                "SELECT extract(epoch FROM due_time - app_now())::float FROM outbox"
            )
        )
    assert waits == pytest.approx([1, 2, 4, 8], abs=0.5)


async def test_a_failing_event_does_not_fail_twice_in_one_turn(
    committed: Database, worker: Database, owner: Any
) -> None:
    desk, subject = Desk(), uuid4()
    desk.fails.add(subject)
    await tell(committed, subject)
    await desk.relay().deliver(worker)
    assert len(desk.seen) == 2  # once in the batch, once alone
    assert (await waiting(owner))[0]["attempts"] == 1


async def test_a_database_that_goes_away_is_no_fault_of_the_event(
    committed: Database, worker: Database, owner: Any
) -> None:
    async def cut_off(tx: Transaction, event: Event) -> None:
        raise Unavailable

    await tell(committed, uuid4())
    with pytest.raises(Unavailable):
        await Desk().relay(cut_off).deliver(worker)
    (row,) = await waiting(owner)
    assert row["attempts"] == 0


async def test_a_full_batch_says_that_more_may_wait(
    committed: Database, worker: Database, owner: Any
) -> None:
    desk = Desk()
    await tell(committed, *(uuid4() for _ in range(5)))
    relay = desk.relay(batch=2)
    assert [await relay.deliver(worker) for _ in range(3)] == [True, True, False]
    assert len(desk.seen) == 5


async def test_many_relays_at_once_deliver_each_event_once(
    committed: Database, worker: Database, owner: Any
) -> None:
    desk, subjects = Desk(), sorted(uuid4() for _ in range(120))
    desk.fails.update(subjects[::40])
    await tell(committed, *subjects)

    async def drain(relay: Relay) -> None:
        while await relay.deliver(worker):
            pass

    await asyncio.gather(*(drain(desk.relay(batch=7)) for _ in range(6)))
    left = [row["subject_id"] for row in await waiting(owner)]
    assert sorted(left) == sorted(desk.fails)
    assert await noted(owner, *subjects) == [one for one in subjects if one not in desk.fails]


async def test_an_event_that_is_not_due_waits(
    committed: Database, worker: Database, owner: Any
) -> None:
    desk, subject = Desk(), uuid4()
    await tell(committed, subject)
    await owner.execute("UPDATE outbox SET due_time = app_now() + interval '1 hour'")
    await desk.relay().deliver(worker)
    assert desk.seen == []


async def test_what_waits_is_measured(committed: Database, worker: Database, owner: Any) -> None:
    desk, subjects = Desk(), [uuid4() for _ in range(3)]
    await tell(committed, *subjects)
    await owner.execute("UPDATE outbox SET due_time = app_now() - interval '1 minute'")
    await owner.execute("UPDATE outbox SET attempts = 2 WHERE subject_id = $1", subjects[0])
    await desk.relay().count(worker)
    values = [
        desk.registry.get_sample_value(f"carelane_outbox_{name}")
        for name in ("depth", "failing", "lag_seconds")
    ]
    assert values == [3, 1, pytest.approx(60, abs=5)]
    await desk.relay().deliver(worker)
    await desk.relay().count(worker)
    assert desk.registry.get_sample_value("carelane_outbox_depth") == 0
    assert desk.registry.get_sample_value("carelane_outbox_lag_seconds") == 0


async def test_the_due_events_are_found_by_an_index(worker: Database, owner: Any) -> None:
    await owner.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
    plan = await owner.fetch(f"EXPLAIN {TAKE.text.replace('$1::INTEGER', '100')}")
    text = "\n".join(row[0] for row in plan)
    assert "Index Scan using outbox_due" in text
    assert "Index Cond: (due_time <=" in text
