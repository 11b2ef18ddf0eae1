"""Moving a visit to another time: in place, or not at all."""

from datetime import datetime
from uuid import UUID

import asyncpg
from sqlalchemy import Uuid, bindparam, func, select, union, update

from server.appointment import holding, policy, progress
from server.appointment.models import Appointment
from server.appointment.refusals import PatientBusy, SlotTaken, check
from server.appointment.states import check_is
from server.appointment.view import PAYMENT, view
from server.appointment.writes import record
from server.availability import claims
from server.availability import service as availability
from server.availability.hours import local_day
from server.core.db import Transaction, refusing, sql
from server.core.errors import InvalidField

_OWN_CLAIM = select(bindparam("claim_id", type_=Uuid))
_REPLACED = holding.replaced()
_CLAIM = claims.claim(union(_OWN_CLAIM, holding.ids(_REPLACED)))
_MOVED = (
    update(Appointment)
    .where(Appointment.appointment_id == bindparam("claim_id"))
    .values(
        start_time=bindparam("start"),
        end_time=bindparam("end"),
        local_date=bindparam("day"),
        previous_start_time=Appointment.start_time,
        confirm_time=None,
        revision=Appointment.revision + 1,
        update_time=func.app_now(),
    )
    .returning(Appointment)
    .cte("moved_visit")
)
_MOVE = sql(view(_MOVED, PAYMENT).add_columns(holding.listed(_REPLACED)).add_cte(_CLAIM))


async def move(tx: Transaction, visit: asyncpg.Record, start: datetime) -> asyncpg.Record:
    """Move a visit of the caller's, under `progress.lock`; the patient as the policy allows.

    Raises IllegalStatusChange, TooLate, NotBookable, SlotTaken and PatientBusy.
    """
    check_is(visit["status"], "booked", "booked")
    by_patient = progress.party_of(tx, visit) == "patient"
    if by_patient:
        await policy.check(tx, visit)
    if start == visit["start_time"]:
        raise InvalidField("start_time", "must be another time than that of the visit")
    row = await _move(tx, visit, start, holder=tx.caller.user_id if by_patient else None)
    holding.record_ended(tx, row["ended_holds"])
    fields = ("start_time", "end_time", "previous_start_time", "confirm_time")
    record(tx, "appointment.moved", row, fields=fields)
    return row


async def _move(
    tx: Transaction, visit: asyncpg.Record, start: datetime, *, holder: UUID | None
) -> asyncpg.Record:
    offer = await availability.find_offer(
        tx, visit["practice_id"], visit["visit_type_id"], start, moved=visit["appointment_id"]
    )
    check(offer, start, tx.now)
    with refusing(claim_overlap=SlotTaken, appointment_patient_overlap=PatientBusy):
        (row,) = await tx.all(
            _MOVE,
            **holding.time_of(offer, start),
            claim_id=visit["appointment_id"],
            claim_kind="appointment",
            claim_expire=None,
            holder=holder,
            start=start,
            end=offer.schedule.terms.visit(start).end,
            day=local_day(offer.schedule.zone, start),
        )
    return row
