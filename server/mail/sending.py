"""Sending what waits: claimed in one transaction, sent in none, struck off in another.

A worker that dies in between leaves a letter that is sent again once its claim has run out: at
least once, and with the same Message-ID, by which mail programs know it again.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from prometheus_client import CollectorRegistry, Counter, Gauge
from sqlalchemy import Integer, Interval, any_, bindparam, delete, func, select, update

from server.auth import queries as auth
from server.core import log
from server.core.db import Database, sql
from server.core.errors import Unavailable
from server.core.jobs import Job
from server.mail.letters import Delivery, Letters, Words
from server.mail.models import Mail
from server.mail.transport import Outgoing, Refused, Transports

BATCH = 10
POLL_SECONDS = 1.0
PATIENCE = 60.0
"""Seconds that handing one letter over may take in all."""
CLAIM = timedelta(minutes=3)
"""How long nobody else touches a letter that is being sent; longer than PATIENCE."""
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=5), timedelta(hours=1)
KEPT = timedelta(days=30)
COUNTED = 10_000

# As a subquery the present instant is computed once, so that the index can be used.
_NOW = select(func.app_now()).scalar_subquery()
_due = (
    select(Mail.mail_id)
    .where(Mail.end_time.is_(None), Mail.due_time <= _NOW)
    .order_by(Mail.due_time, Mail.mail_id)
    .limit(bindparam("limit", type_=Integer))
    .with_for_update(skip_locked=True)
    .scalar_subquery()
)
_claimed = (
    update(Mail)
    .where(Mail.mail_id == any_(func.array(_due)))
    .values(
        attempts=Mail.attempts + 1,
        due_time=func.app_now() + bindparam("claim", CLAIM, type_=Interval),
    )
    .returning(Mail)
    .cte("claimed")
)
_people = auth.recipients()
TAKE = sql(
    select(
        _claimed.c.mail_id,
        _claimed.c.kind,
        _claimed.c.channel,
        _claimed.c.user_id,
        _claimed.c.subject_id,
        _claimed.c.create_time,
        _claimed.c.expire_time,
        _claimed.c.attempts,
        func.coalesce(_claimed.c.address, _people.c.email).label("address"),
        func.coalesce(_people.c.full_name, "").label("full_name"),
    ).join_from(_claimed, _people, _people.c.user_id == _claimed.c.user_id, isouter=True)
)
END = sql(
    update(Mail)
    .where(Mail.mail_id == bindparam("id"), Mail.end_time.is_(None))
    .values(end_time=bindparam("now"), outcome=bindparam("how"), address=None)
)
PUT_OFF = sql(
    update(Mail)
    .where(Mail.mail_id == bindparam("id"), Mail.attempts == bindparam("mine"))
    .where(Mail.end_time.is_(None))
    .values(
        last_error=bindparam("error"),
        due_time=func.app_now() + bindparam("wait", type_=Interval),
    )
)
DELETE = sql(delete(Mail).where(Mail.end_time < bindparam("before")))
_waiting = (
    select(Mail.due_time, Mail.create_time)
    .where(Mail.end_time.is_(None))
    .order_by(Mail.due_time)
    .limit(COUNTED)
    .subquery()
)
COUNT = sql(
    select(
        func.count().label("depth"),
        func.extract("epoch", _NOW - func.min(_waiting.c.create_time)).label("age"),
    ).select_from(_waiting)
)


class Claimed(NamedTuple):
    """A letter that this worker sends."""

    mail_id: UUID
    kind: str
    channel: str
    user_id: UUID | None
    subject_id: UUID
    create_time: datetime
    expire_time: datetime
    attempts: int
    address: str | None
    full_name: str


class MailMetrics:
    """What became of letters, and how many wait."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.ended = Counter(
            "carelane_mail_ended",
            "Letters that are done with, by what became of them.",
            ("outcome",),
            registry=registry,
        )
        self.failed = Counter(
            "carelane_mail_failed",
            "Attempts that failed and will be repeated.",
            ("channel",),
            registry=registry,
        )
        self.depth = Gauge(
            "carelane_mail_depth", f"Letters that wait, at most {COUNTED}.", registry=registry
        )
        self.age = Gauge(
            "carelane_mail_age_seconds", "How old the oldest that waits is.", registry=registry
        )


class Post:
    """Sends the letters of `letters` by `transports`, a transport for each channel."""

    def __init__(
        self,
        letters: Letters,
        transports: Transports,
        *,
        logger: log.Logger,
        metrics: MailMetrics,
        batch: int = BATCH,
    ) -> None:
        self._letters = letters
        self._transports = transports
        self._log = logger
        self._metrics = metrics
        self._batch = batch

    def jobs(self) -> list[Job]:
        """Answer the jobs that send, that measure what waits, and that forget what is done."""
        return [
            Job("mail", POLL_SECONDS, self.deliver),
            Job("mail_count", 15.0, self.count),
            Job("forget_mail", 3600.0, forget_old),
        ]

    async def deliver(self, database: Database) -> bool:
        """Send a batch of what is due, side by side; answer whether more may wait."""
        async with database.transaction() as tx:
            rows = await tx.all(TAKE, limit=self._batch)
        settling = (self._settle(database, Claimed(*row.values())) for row in rows)
        for failure in await asyncio.gather(*settling, return_exceptions=True):
            if failure is not None:
                raise failure
        return len(rows) == self._batch

    async def count(self, database: Database) -> bool:
        """Measure what waits."""
        async with database.transaction() as tx:
            row: Any = await tx.one(COUNT)
        self._metrics.depth.set(row["depth"])
        self._metrics.age.set(max(0.0, float(row["age"] or 0)))
        return False

    async def _settle(self, database: Database, mail: Claimed) -> None:
        """Send one letter and note what became of it; what fails is tried again later."""
        try:
            outcome = await self._send(database, mail)
        except Unavailable:
            raise
        except Refused:
            outcome = "refused"
        except Exception as error:  # noqa: BLE001 - it is noted, and the others go on
            await self._put_off(database, mail, error)
            return
        async with database.transaction() as tx:
            await tx.run(END, id=mail.mail_id, now=tx.now, how=outcome)
        self._metrics.ended.labels(outcome).inc()

    async def _send(self, database: Database, mail: Claimed) -> str:
        if mail.expire_time <= database.clock.now():
            return "expired"
        words = await self._compose(database, mail)
        if words is None or mail.address is None:
            return "dropped"
        letter = Outgoing(str(mail.mail_id), mail.address, *words, mail.create_time)
        async with asyncio.timeout(PATIENCE):
            await self._transports[mail.channel].send(letter)
        return "sent"

    async def _compose(self, database: Database, mail: Claimed) -> Words | None:
        if mail.address is None:
            return None
        delivery = Delivery(mail.subject_id, mail.user_id, mail.address, mail.full_name)
        async with database.transaction() as tx:
            return await self._letters[mail.kind](tx, delivery)

    async def _put_off(self, database: Database, mail: Claimed, error: Exception) -> None:
        """Note the failure by its class alone: what mail servers say names people."""
        self._metrics.failed.labels(mail.channel).inc()
        self._log.error("mail", kind=mail.kind, mail_id=str(mail.mail_id), **log.failure(error))
        wait = min(FIRST_WAIT * 2 ** min(mail.attempts - 1, 20), LONGEST_WAIT)
        values = {"id": mail.mail_id, "mine": mail.attempts, "wait": wait}
        async with database.transaction() as tx:
            await tx.run(PUT_OFF, error=type(error).__name__, **values)


async def forget_old(database: Database) -> bool:
    """Delete what ended a month ago."""
    async with database.transaction() as tx:
        await tx.run(DELETE, before=tx.now - KEPT)
    return False
