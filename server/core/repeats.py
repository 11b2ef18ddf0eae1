"""How long the answer of a request_id is kept: a repeat after that is a new request."""

from datetime import timedelta

from sqlalchemy import bindparam, delete, select, tuple_

from server.core.db import Database, sql
from server.core.jobs import Job
from server.core.schema import Idempotency

KEPT = timedelta(days=7)
BATCH = 1000
INTERVAL_SECONDS = 300.0

_KEY = (Idempotency.user_id, Idempotency.key)
FORGET = sql(
    delete(Idempotency).where(
        tuple_(*_KEY).in_(
            select(*_KEY)
            .where(Idempotency.create_time < bindparam("before"))
            .order_by(Idempotency.create_time)
            .limit(BATCH)
        )
    )
)


async def forget_old(database: Database) -> bool:
    """Delete a batch of old answers; True when more are left."""
    async with database.transaction() as tx:
        return await tx.run(FORGET, before=tx.now - KEPT) >= BATCH


JOBS = (Job("forget_old_answers", INTERVAL_SECONDS, forget_old),)
