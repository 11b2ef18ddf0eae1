"""Background work of the queue: marking patients who did not come."""

from contextlib import suppress
from datetime import timedelta
from uuid import UUID

from sqlalchemy import TIMESTAMP, and_, bindparam, func, literal_column, or_, select
from sqlalchemy.orm import aliased

from server.appointment import progress, view
from server.appointment.states import IllegalStatusChange
from server.core.db import Database, Transaction, sql
from server.core.jobs import Job
from server.queue.day import GRACE_MINUTES
from server.queue.models import QueueDay, QueueSetting, QueueTicket

BATCH = 50
INTERVAL_SECONDS = 30.0
DAY = timedelta(days=1)
"""Who marks a visit later than that does so by hand: a patient is not told of an old one."""

_visit = view.ALL.subquery("visits")
_now = bindparam("now", type_=TIMESTAMP(timezone=True))
_grace = func.coalesce(QueueSetting.no_show_grace_minutes, GRACE_MINUTES)
_late = func.coalesce(QueueDay.late_minutes, 0)
# A visit that was changed after its start, such as one whose mark was undone, has its time again.
_from = func.greatest(
    _visit.c.start_time + func.make_interval(0, 0, 0, 0, 0, _late), _visit.c.update_time
)
_until = _from + func.make_interval(0, 0, 0, 0, 0, _grace)
_first = aliased(QueueTicket, name="first_ticket")
# Where nobody is checked in everybody would seem to be missing: unless the practice chose a grace,
# a visit counts as missed only if the desk was at work before its grace was over.
_keeps_a_queue = or_(
    QueueSetting.no_show_grace_minutes.is_not(None), _first.check_in_time <= _until
)
_DUE = (
    select(_visit.c.appointment_id)
    .select_from(_visit)
    .join(QueueSetting, QueueSetting.practice_id == _visit.c.practice_id, isouter=True)
    .join(
        QueueDay,
        and_(
            QueueDay.practice_id == _visit.c.practice_id,
            QueueDay.local_date == _visit.c.local_date,
        ),
        isouter=True,
    )
    .join(
        _first,
        and_(_first.queue_day_id == QueueDay.queue_day_id, _first.token == literal_column("1")),
        isouter=True,
    )
    .where(
        _visit.c.status == literal_column("'booked'"),
        _visit.c.local_date.between(bindparam("first"), bindparam("last")),
        _visit.c.start_time.between(_now - DAY, _now),
        _grace > 0,
        _keeps_a_queue,
        _until <= _now,
    )
)
DUE = sql(_DUE.order_by(_visit.c.start_time).limit(BATCH))
IS_DUE = sql(_DUE.where(_visit.c.appointment_id == bindparam("appointment")))


async def mark_missed(database: Database) -> bool:
    """Mark visits whose patient did not come within the grace of the practice; True when full.

    Only where patients are checked in that day, or the practice chose a grace.

    Each in a transaction of its own, under its locks, once it is still due: several workers at
    once mark it once.
    """
    async with database.transaction() as tx:
        due = [row["appointment_id"] for row in await tx.all(DUE, **_around(tx))]
    for appointment_id in due:
        await _mark(database, appointment_id)
    return len(due) == BATCH


async def _mark(database: Database, appointment_id: UUID) -> None:
    lock = progress.lock(appointment_id)
    with suppress(IllegalStatusChange):
        async with database.transaction(lock=lock) as tx:
            if await tx.one(IS_DUE, appointment=appointment_id, **_around(tx)):
                await progress.mark_no_show(tx, appointment_id)


def _around(tx: Transaction) -> dict[str, object]:
    """Answer the present, and the local days that it may be."""
    today = tx.now.date()
    return {"now": tx.now, "first": today - 2 * DAY, "last": today + DAY}


JOBS = (Job("mark_missed_visits", INTERVAL_SECONDS, mark_missed),)
