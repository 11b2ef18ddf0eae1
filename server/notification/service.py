"""What people are told: writing it once, reading it, marking it as read."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from uuid import UUID

from asyncpg import Record
from sqlalchemy import Boolean, Integer, Uuid, any_, bindparam, func, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import ARRAY, insert

from server.core.db import Transaction, sql
from server.core.outbox import Event
from server.core.statement import Statement
from server.notification.models import Notification
from server.notification.wording import Words

_OWN = Notification.user_id == bindparam("user")
_PLACE = (Notification.create_time, Notification.notification_id)

TELL = sql(
    insert(Notification)
    .values(
        user_id=bindparam("user"),
        kind=bindparam("what"),
        title=bindparam("headline"),
        body=bindparam("text"),
        subject_id=bindparam("subject"),
        outbox_id=bindparam("event"),
        create_time=bindparam("happened"),
    )
    # no target and nothing returned, since the worker may not read what people are told
    .on_conflict_do_nothing()
    .inline()
)
COUNT_UNREAD = sql(
    select(func.count().label("unread")).where(_OWN, Notification.read_time.is_(None))
)
MARK_READ = sql(
    update(Notification)
    .where(
        _OWN,
        Notification.read_time.is_(None),
        or_(
            bindparam("all", type_=Boolean),
            Notification.notification_id == any_(bindparam("ids", type_=ARRAY(Uuid))),
        ),
    )
    .values(read_time=bindparam("now"))
)


@cache
def _page(*, unread_only: bool, follows: bool) -> Statement:
    query = select(Notification).where(_OWN)
    if unread_only:
        query = query.where(Notification.read_time.is_(None))
    if follows:
        after = tuple_(
            bindparam("after_time", type_=Notification.create_time.type),
            bindparam("after_id", type_=Uuid),
        )
        query = query.where(tuple_(*_PLACE) < after)
    newest_first = query.order_by(*(column.desc() for column in _PLACE))
    return sql(newest_first.limit(bindparam("limit", type_=Integer)))


async def tell(
    tx: Transaction, event: Event, kind: str, words_by_person: Mapping[UUID, Words]
) -> None:
    """Tell people of an event, each in their own words, once however often it is delivered."""
    common = {
        "what": kind,
        "subject": event.subject_id,
        "event": event.outbox_id,
        "happened": event.create_time,
    }
    await tx.many(
        TELL,
        [
            {"user": user_id, "headline": words.title, "text": words.body, **common}
            for user_id, words in words_by_person.items()
        ],
    )


async def page(
    tx: Transaction,
    user_id: UUID,
    *,
    unread_only: bool,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Record]:
    """Answer up to `limit` of a person's notifications, the newest first.

    `after` is create_time and notification_id of the last one of the page before.
    """
    statement = _page(unread_only=unread_only, follows=after is not None)
    place = dict(zip(("after_time", "after_id"), after or (), strict=False))
    return await tx.all(statement, user=user_id, limit=limit, **place)


async def count_unread(tx: Transaction, user_id: UUID) -> int:
    """Answer how many of a person's notifications are unread."""
    row = await tx.one(COUNT_UNREAD, user=user_id)
    return row["unread"] if row else 0


async def mark_read(
    tx: Transaction, user_id: UUID, *, everything: bool = False, ids: Sequence[UUID] = ()
) -> None:
    """Mark those of `ids` that are the person's, or everything, as read; once is for ever."""
    marked = await tx.run(MARK_READ, user=user_id, all=everything, ids=list(ids), now=tx.now)
    if marked:
        tx.record("notification.read", user_id, fields=("read_time",))
