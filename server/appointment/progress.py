"""Following a visit to its end: confirm, check in, start, cancel, complete, no-show."""

from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
from sqlalchemy import TIMESTAMP, Text, bindparam, func, select, update

from server.appointment import lapsing, policy
from server.appointment.models import Appointment, PaymentTransaction
from server.appointment.refusals import PatientBusy, TooEarly, TooLate
from server.appointment.states import check_change, check_is
from server.appointment.view import FIND, view
from server.appointment.writes import record
from server.availability import claims
from server.availability.hours import DAY, local_day
from server.core.db import Lock, Reader, Transaction, refusing, sql
from server.core.errors import NotFound, PermissionDenied

_CHANGED = (
    update(Appointment)
    .where(Appointment.appointment_id == bindparam("appointment"))
    .values(
        status=bindparam("wanted"),
        confirm_time=func.coalesce(
            Appointment.confirm_time, bindparam("confirmed", type_=TIMESTAMP(timezone=True))
        ),
        cancelled_by=bindparam("party"),
        cancel_reason=bindparam("why"),
        expire_time=None,
        revision=Appointment.revision + 1,
        update_time=func.app_now(),
    )
    .returning(Appointment)
    .cte("changed")
)
_PAID = (
    update(PaymentTransaction)
    .where(PaymentTransaction.appointment_id == bindparam("appointment"))
    .values(
        status=func.coalesce(bindparam("payment", type_=Text), PaymentTransaction.status),
        settle_time=bindparam("settled"),
    )
    .returning(PaymentTransaction)
    .cte("paid")
)
# The claim of a seat has another id, and ends with its last seat.
_CALLED_OFF = select(_CHANGED.c.appointment_id).where(_CHANGED.c.status == "cancelled")
_FREED = claims.release(_CALLED_OFF.cte("called_off"))
_CHANGE = sql(view(_CHANGED, _PAID).add_cte(_FREED))


def lock(appointment_id: UUID) -> Lock:
    """Lock the calendar, then the appointment: the order that booking has, too."""
    return Lock(
        "SELECT FROM calendar WHERE doctor_id ="
        " (SELECT doctor_id FROM appointment WHERE appointment_id = {0}) FOR UPDATE;"
        "SELECT FROM appointment WHERE appointment_id = {0} FOR UPDATE",
        appointment_id,
    )


async def find(reader: Reader, appointment_id: UUID) -> asyncpg.Record:
    """Read an appointment; NotFound when the caller may not see it."""
    row = await reader.one(FIND, appointment=appointment_id)
    if row is None:
        raise NotFound("There is no such appointment.")
    return row


async def confirm(tx: Transaction, appointment_id: UUID) -> asyncpg.Record:
    """Note that the clinic expects the patient; confirming again changes nothing."""
    row = await _find_for_clinic(tx, appointment_id)
    check_is(row["status"], "booked", "booked", "confirmed")
    if row["confirm_time"]:
        return row
    changed = await _change(tx, appointment_id, "booked", confirmed=tx.now)
    record(tx, "appointment.confirmed", changed, before=row, fields=("confirm_time",))
    return changed


async def cancel(tx: Transaction, appointment_id: UUID, *, reason: str) -> asyncpg.Record:
    """Call a visit off, free its time and void its payment; the patient as the policy allows."""
    row = await find(tx, appointment_id)
    check_change(row["status"], "cancelled")
    party = party_of(tx, row)
    if party == "patient":
        await policy.check(tx, row)
    changed = await _change(
        tx, appointment_id, "cancelled", party=party, why=reason.strip(), payment="voided"
    )
    record(tx, "appointment.cancelled", changed, before=row, fields=("status", "cancel_reason"))
    return changed


async def check_in(tx: Transaction, appointment_id: UUID) -> asyncpg.Record:
    """Note that the patient is at the clinic, on the local day of the visit."""
    row = await _find_for_clinic(tx, appointment_id)
    check_change(row["status"], "checked_in")
    today = local_day(ZoneInfo(row["time_zone"]), tx.now)
    if today < row["local_date"]:
        raise TooEarly("The visit is on a later day.")
    if today > row["local_date"]:
        raise TooLate("The visit was on an earlier day.")
    changed = await _change(tx, appointment_id, "checked_in")
    record(tx, "appointment.checked_in", changed, before=row, fields=("status",))
    return changed


async def start(tx: Transaction, appointment_id: UUID) -> asyncpg.Record:
    """Note that the patient is with the doctor now."""
    row = await _find_for_clinic(tx, appointment_id)
    check_change(row["status"], "in_consultation")
    changed = await _change(tx, appointment_id, "in_consultation")
    record(tx, "appointment.started", changed, before=row, fields=("status",))
    return changed


async def complete(tx: Transaction, appointment_id: UUID) -> asyncpg.Record:
    """Note that the visit took place, and settle its payment."""
    row = await _find_for_clinic(tx, appointment_id)
    check_change(row["status"], "completed")
    if local_day(ZoneInfo(row["time_zone"]), tx.now) < row["local_date"]:
        raise TooEarly("The visit is on a later day.")
    changed = await _change(tx, appointment_id, "completed", payment="settled", settled=tx.now)
    record(tx, "appointment.completed", changed, before=row, fields=("status",))
    return changed


async def mark_no_show(tx: Transaction, appointment_id: UUID) -> asyncpg.Record:
    """Note that the patient did not come, and void the payment."""
    row = await _find_for_clinic(tx, appointment_id)
    check_change(row["status"], "no_show")
    if tx.now < row["start_time"]:
        raise TooEarly("The visit has not started yet.")
    changed = await _change(tx, appointment_id, "no_show", payment="voided")
    record(tx, "appointment.no_show", changed, before=row, fields=("status",))
    return changed


async def undo_no_show(tx: Transaction, appointment_id: UUID) -> asyncpg.Record:
    """Take `mark_no_show` back within a day."""
    row = await _find_for_clinic(tx, appointment_id)
    check_is(row["status"], "no_show", "booked")
    if tx.now > row["update_time"] + DAY:
        raise TooLate("A day has passed since the visit was marked.")
    await lapsing.call_off(tx, row)
    with refusing(appointment_patient_overlap=PatientBusy):
        changed = await _change(tx, appointment_id, "booked", payment="pending")
    record(tx, "appointment.no_show_undone", changed, before=row, fields=("status",))
    return changed


async def _find_for_clinic(tx: Transaction, appointment_id: UUID) -> asyncpg.Record:
    row = await find(tx, appointment_id)
    if party_of(tx, row) == "patient":
        raise PermissionDenied("Only the doctor and the clinic may do this.")
    return row


def party_of(tx: Transaction, row: asyncpg.Record) -> str:
    """Say on whose side the caller is; who sees a visit of others is the clinic."""
    if tx.caller.user_id == row["account_id"]:
        return "patient"
    return "doctor" if tx.caller.user_id == row["doctor_id"] else "clinic"


async def _change(
    tx: Transaction,
    appointment_id: UUID,
    wanted: str,
    *,
    confirmed: datetime | None = None,
    party: str | None = None,
    why: str = "",
    payment: str | None = None,
    settled: datetime | None = None,
) -> asyncpg.Record:
    (row,) = await tx.all(
        _CHANGE,
        appointment=appointment_id,
        wanted=wanted,
        confirmed=confirmed,
        party=party,
        why=why,
        payment=payment,
        settled=settled,
    )
    return row
