"""What consultations took is noted when they end, and teaches the waits of those who come."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from carelane.queue.v1 import queue_service_pb2 as pb
from carelane.queue.v1 import queue_service_pb2_grpc
from server.core.access import Caller
from server.core.db import Database
from server.core.outbox import Relay
from server.queue.servicer import QueueServicer
from tests.queue.conftest import HALF_HOUR, add_ticket
from tests.rows import NOW, Practice, Served, add_practice


async def end_of(owner: Any, visit: UUID) -> Any:
    query = "SELECT consultation_end_time FROM queue_ticket WHERE appointment_id = $1"
    return await owner.fetchval(query, visit)


async def completed(committed: Database, visit: UUID) -> None:
    async with committed.transaction(Caller(visit, "doctor")) as tx:
        tx.record("appointment.completed", visit, event={})


async def test_the_end_of_a_consultation_is_when_the_visit_was_completed(
    committed: Database, worker: Database, owner: Any, relay: Relay
) -> None:
    at = await add_practice(owner)
    visit = await add_ticket(owner, at, NOW - 10 * HALF_HOUR)
    await completed(committed, visit)
    happened = await owner.fetchval("SELECT create_time FROM outbox")
    await relay.deliver(worker)
    assert await end_of(owner, visit) == happened
    await completed(committed, visit)
    await relay.deliver(worker)
    assert await end_of(owner, visit) == happened


async def test_a_visit_that_was_never_called_has_no_length(
    committed: Database, worker: Database, owner: Any, relay: Relay
) -> None:
    visit = await add_ticket(owner, await add_practice(owner), NOW, called=False)
    await completed(committed, visit)
    await relay.deliver(worker)
    assert await end_of(owner, visit) is None
    assert await owner.fetch("SELECT FROM outbox") == []


async def waits(committed: Database, at: Practice) -> list[int]:
    """Answer the P50 of those who wait, as the doctor reads it."""
    queue = Served(
        queue_service_pb2_grpc.add_QueueServiceServicer_to_server,
        QueueServicer(committed),
        queue_service_pb2_grpc.QueueServiceStub,
    )
    request = pb.GetQueueRequest(practice_id=str(at.practice_id))
    answer = await queue.call("GetQueue", request, by=("doctor", at.doctor_id))
    entries = [entry for entry in answer.queue.entries if entry.HasField("expected_wait")]
    return [entry.expected_wait.p50_minutes for entry in entries]


@pytest.mark.parametrize(
    ("days_ago", "learned"), [(1, True), (60, True), (61, False)], ids=["1", "60", "61"]
)
async def test_waits_are_learned_from_the_last_sixty_days(
    committed: Database, owner: Any, days_ago: int, learned: bool
) -> None:
    at, now = await add_practice(owner), committed.clock.now()
    for number in range(3):
        await add_ticket(owner, at, now + number * timedelta(seconds=1), called=False)
    for number in range(20):
        start = now - timedelta(days=days_ago) + number * timedelta(seconds=1)
        await add_ticket(owner, at, start, took=timedelta(minutes=60))
    first, second, third = await waits(committed, at)
    assert first == 0
    assert (55 <= second <= 60, second == 30) == (learned, not learned)
    assert third == pytest.approx(2 * second, abs=3)


async def test_another_practice_teaches_nothing(committed: Database, owner: Any) -> None:
    at, other, now = await add_practice(owner), await add_practice(owner), committed.clock.now()
    for number in range(2):
        await add_ticket(owner, at, now + number * timedelta(seconds=1), called=False)
    for number in range(20):
        await add_ticket(owner, other, now - number * timedelta(days=1), took=timedelta(minutes=60))
    assert await waits(committed, at) == [0, 30]
