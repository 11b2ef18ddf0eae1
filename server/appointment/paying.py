"""Visits whose time is kept while the patient pays: PENDING_PAYMENT.

It expires like a hold: an expired claim is removed by whoever wants the time, an expired visit is
called off by whoever wants the patient's time then, or by the job.
"""

from datetime import timedelta
from uuid import UUID

import asyncpg
from sqlalchemy import (
    CTE,
    any_,
    bindparam,
    func,
    select,
    union,
    update,
)

from server.appointment import holding, seats
from server.appointment.models import Appointment, PaymentTransaction
from server.appointment.progress import find
from server.appointment.refusals import SlotTaken, TooLate
from server.appointment.states import check_is
from server.appointment.view import PAYMENT, view
from server.appointment.writes import UNPAID, record
from server.availability import claims
from server.availability import service as availability
from server.core.db import Database, Transaction, refusing, sql
from server.core.jobs import Job

# Name of the job; the audit has it in place of a request.
EXPIRE = "expire_unpaid"
BATCH = 100
INTERVAL_SECONDS = 20.0
_ID = bindparam("claim_id", type_=Appointment.appointment_id.type)
_PENDING = Appointment.status == "pending_payment"
_EXPIRED = _PENDING & (Appointment.expire_time <= func.app_now())
_CALL_OFF = {
    "status": "cancelled",
    "cancelled_by": "platform",
    "expire_time": None,
    "revision": Appointment.revision + 1,
    "update_time": func.app_now(),
}


def void(called_off: CTE) -> CTE:
    """Void the payments of the visits that `called_off` answers."""
    return (
        update(PaymentTransaction)
        .where(PaymentTransaction.appointment_id.in_(select(called_off.c.appointment_id)))
        .values(status="voided")
        .returning(PaymentTransaction.appointment_id)
        .cte("voided")
    )


_KEPT = (
    update(Appointment)
    .where(Appointment.appointment_id == _ID)
    .values(
        expire_time=bindparam("claim_expire"),
        extended=True,
        revision=Appointment.revision + 1,
        update_time=func.app_now(),
    )
    .returning(Appointment)
    .cte("extended")
)
_EXTEND = sql(view(_KEPT, PAYMENT).add_cte(claims.keep_until(_KEPT)))
_PAID = (
    update(PaymentTransaction)
    .where(PaymentTransaction.appointment_id == _ID)
    .values(status="settled", settle_time=bindparam("settled"))
    .returning(PaymentTransaction)
    .cte("paid")
)
_BOOKED = (
    update(Appointment)
    .where(Appointment.appointment_id == _ID)
    .values(
        status="booked",
        expire_time=None,
        revision=Appointment.revision + 1,
        update_time=func.app_now(),
    )
    .returning(Appointment)
    .cte("booked")
)
_REPLACED = holding.replaced()
_CLAIM = claims.claim(union(select(_ID), seats.left(_REPLACED)))
_SETTLE = sql(view(_BOOKED, _PAID).add_columns(holding.listed(_REPLACED)).add_cte(_CLAIM))
_OLD = (
    select(Appointment.appointment_id)
    .where(_EXPIRED)
    .order_by(Appointment.expire_time)
    .limit(BATCH)
    .with_for_update(skip_locked=True)
)
_CALLED_OFF = (
    update(Appointment)
    .where(Appointment.appointment_id == any_(func.array(_OLD.scalar_subquery())))
    .values(_CALL_OFF)
    .returning(Appointment)
    .cte("called_off")
)
_EXPIRE = sql(select(_CALLED_OFF).add_cte(void(_CALLED_OFF), claims.release(_CALLED_OFF)))
_FORGET_HOLDS = sql(claims.forget_expired(BATCH))


async def extend(tx: Transaction, appointment_id: UUID, by: timedelta) -> asyncpg.Record:
    """Keep the time longer for a payment in flight, once; under `progress.lock`.

    Raises IllegalStatusChange, and TooLate when it has expired or was extended before.
    """
    row = await find(tx, appointment_id)
    check_is(row["status"], "pending_payment", "pending_payment")
    if row["extended"]:
        raise TooLate("The time was extended before.")
    if row["expire_time"] <= tx.now:
        raise TooLate("The time for the payment is over.")
    until = row["expire_time"] + by
    (kept,) = await tx.all(_EXTEND, claim_id=appointment_id, claim_expire=until)
    record(tx, "appointment.extended", kept, before=row, fields=("expire_time",))
    return kept


async def settle(tx: Transaction, appointment_id: UUID) -> asyncpg.Record:
    """Book the visit that was paid, under `progress.lock`; late, if its time is still free.

    Raises IllegalStatusChange and SlotTaken.
    """
    row = await find(tx, appointment_id)
    check_is(row["status"], "pending_payment", "booked")
    offer = await availability.find_offer(
        tx, row["practice_id"], row["visit_type_id"], row["start_time"], moved=appointment_id
    )
    with refusing(claim_overlap=SlotTaken):
        (booked,) = await tx.all(
            _SETTLE,
            **holding.time_of(offer, row["start_time"]),
            claim_id=appointment_id,
            claim_kind="appointment",
            claim_expire=None,
            holder=row["account_id"],
            settled=tx.now,
        )
    holding.record_ended(tx, booked["ended_holds"])
    record(tx, "appointment.booked", booked, before=row, fields=("status",))
    return booked


async def expire(database: Database) -> bool:
    """Call off a batch of visits that were not paid in time; True when more are left."""
    async with database.transaction(request_id=EXPIRE) as tx:
        rows = await tx.all(_EXPIRE)
        for row in rows:
            record(tx, "appointment.expired", row, before=UNPAID, fields=("status",))
        forgotten = await tx.run(_FORGET_HOLDS)
    return max(len(rows), forgotten) >= BATCH


JOBS = (Job(EXPIRE, INTERVAL_SECONDS, expire),)
