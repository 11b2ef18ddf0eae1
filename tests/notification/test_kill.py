"""A worker that is killed in the middle of its work loses nothing and tells nothing twice."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from launch.postgres import EmbeddedPostgres
from server.core.access import Caller
from server.core.db import Database
from server.core.outbox import Relay
from tests.rows import add_doctor

ROOT = Path(__file__).resolve().parents[2]


async def add_events(committed: Database, owner: Any, count: int) -> list[UUID]:
    doctors = [await add_doctor(owner) for _ in range(count)]
    async with committed.transaction(Caller(uuid4(), "admin")) as tx:
        for doctor in doctors:
            tx.record("doctor.verified", doctor, event={"doctor_id": doctor, "reason": ""})
    return doctors


@asynccontextmanager
async def stuck_worker(dsn: str, handed_over: int) -> AsyncIterator[None]:
    """A worker in the middle of a batch, killed without warning at the end of the block."""
    command = (sys.executable, "-m", "tests.notification.relay_process", dsn, str(handed_over))
    worker = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert worker.stdout is not None
    try:
        assert await asyncio.wait_for(worker.stdout.readline(), 30) == b"stuck\n"
        yield
    finally:
        worker.kill()
        await worker.wait()


async def told(owner: Any, doctors: list[UUID]) -> list[int]:
    """Answer how many notifications each of them has."""
    rows = await owner.fetch(
        "SELECT (SELECT count(*) FROM notification n WHERE n.user_id = d.id) AS told"
        " FROM unnest($1::uuid[]) AS d (id)",
        doctors,
    )
    return [row["told"] for row in rows]


async def drain(relay: Relay, worker: Database, owner: Any) -> None:
    """Deliver until nothing waits: the rows of the dead are free once the server notices."""
    async with asyncio.timeout(20):
        while await owner.fetchval("SELECT count(*) FROM outbox"):
            await relay.deliver(worker)


async def test_a_kill_in_the_middle_of_a_batch_tells_everybody_once(
    committed: Database, worker: Database, owner: Any, relay: Relay, postgres: EmbeddedPostgres
) -> None:
    doctors = await add_events(committed, owner, 30)
    for handed_over in (1, 10, 30):
        async with stuck_worker(postgres.worker_dsn, handed_over):
            pass
        assert await told(owner, doctors) == [0] * 30
    await drain(relay, worker, owner)
    assert await told(owner, doctors) == [1] * 30


async def test_others_go_on_while_a_worker_is_stuck(
    committed: Database, worker: Database, owner: Any, relay: Relay, postgres: EmbeddedPostgres
) -> None:
    held = await add_events(committed, owner, 3)
    async with stuck_worker(postgres.worker_dsn, 3):
        free = await add_events(committed, owner, 3)
        await relay.deliver(worker)
        assert await told(owner, held + free) == [0, 0, 0, 1, 1, 1]
    await drain(relay, worker, owner)
    assert await told(owner, held + free) == [1] * 6
