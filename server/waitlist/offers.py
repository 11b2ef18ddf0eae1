"""Times that are offered to who waits: placed by the worker, answered by the patient."""

from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
from sqlalchemy import any_, bindparam, func, insert, select, update

from server.appointment import booking, holding
from server.core.db import Lock, Transaction, sql
from server.core.errors import FailedPrecondition, NotFound
from server.directory import queries as directory
from server.patient import queries as patients
from server.waitlist import entries
from server.waitlist.models import WaitlistEntry, WaitlistOffer

LASTING = timedelta(minutes=30)


class OfferEnded(FailedPrecondition):
    """The offer was answered, or its deadline passed."""

    reason = "OFFER_ENDED"
    text = "The offer has ended."


_COPIED = ("clinic_id", "practice_id", "doctor_id", "visit_type_id")
_TIMES = ("start_time", "end_time", "expire_time")
_INSERT = sql(
    insert(WaitlistOffer)
    .values(
        entry_id=bindparam("entry"),
        patient_id=bindparam("patient"),
        hold_id=bindparam("hold"),
        **{name: bindparam(f"v_{name}") for name in (*_COPIED, *_TIMES)},
    )
    .returning(WaitlistOffer.offer_id)
)
_TAKE_ENTRY = sql(
    update(WaitlistEntry)
    .where(WaitlistEntry.entry_id == bindparam("entry"), WaitlistEntry.status == "waiting")
    .values(status="offered", update_time=func.app_now())
)
_FIND = sql(
    select(WaitlistOffer).where(
        WaitlistOffer.offer_id == bindparam("offer"),
        WaitlistOffer.patient_id == any_(func.app_patients()),
    )
)
_END = sql(
    update(WaitlistOffer)
    .where(WaitlistOffer.offer_id == bindparam("offer"))
    .values(status=bindparam("wanted"), appointment_id=bindparam("appointment"))
)
_PRACTICE, _PERSON = directory.practices(), patients.patients()
TOLD = sql(
    select(
        WaitlistOffer.patient_id,
        _PERSON.c.account_id,
        _PERSON.c.full_name.label("patient_name"),
        WaitlistOffer.start_time,
        WaitlistOffer.expire_time,
        _PRACTICE.c.doctor_name,
        _PRACTICE.c.clinic_name,
        _PRACTICE.c.time_zone,
    )
    .join(_PRACTICE, _PRACTICE.c.practice_id == WaitlistOffer.practice_id)
    .join(_PERSON, _PERSON.c.patient_id == WaitlistOffer.patient_id)
    .where(WaitlistOffer.offer_id == bindparam("offer"))
)


def lock(offer_id: UUID) -> Lock:
    """Lock the calendar in which the time is kept, then the offer."""
    return Lock(
        "SELECT FROM calendar WHERE doctor_id ="
        " (SELECT doctor_id FROM waitlist_offer WHERE offer_id = {0}) FOR UPDATE;"
        "SELECT FROM waitlist_offer WHERE offer_id = {0} FOR UPDATE",
        offer_id,
    )


async def place(
    tx: Transaction,
    entry: asyncpg.Record,
    *,
    practice_id: UUID,
    visit_type_id: UUID,
    start: datetime,
) -> bool:
    """Keep a time for an entry and offer it; False when the patient has just left.

    The calendar must be locked. Raises NotBookable and SlotTaken.
    """
    if not await tx.run(_TAKE_ENTRY, entry=entry["entry_id"]):
        return False
    held = await holding.hold(
        tx,
        entry["account_id"],
        practice_id=practice_id,
        visit_type_id=visit_type_id,
        start=start,
        lasting=min(LASTING, start - tx.now),
        most_live=None,
    )
    (row,) = await tx.all(
        _INSERT,
        entry=entry["entry_id"],
        patient=entry["patient_id"],
        hold=held["hold_id"],
        **{f"v_{name}": held[name] for name in (*_COPIED, *_TIMES)},
    )
    event = {"patient_id": entry["patient_id"], "doctor_id": held["doctor_id"]}
    tx.record(
        "waitlist.offered",
        row["offer_id"],
        clinic_id=held["clinic_id"],
        patients=[entry["patient_id"]],
        fields=("status",),
        event=event,
    )
    return True


async def accept(tx: Transaction, offer_id: UUID, *, reason: str) -> asyncpg.Record:
    """Book the offered time for who waits, and answer the appointment. The offer must be locked.

    Raises NotFound, OfferEnded, NotBookable, SlotTaken and PatientBusy.
    """
    offer = await _open(tx, offer_id)
    row = await booking.book(
        tx,
        offer["patient_id"],
        practice_id=offer["practice_id"],
        visit_type_id=offer["visit_type_id"],
        start=offer["start_time"],
        reason=reason,
        hold_id=offer["hold_id"],
    )
    await tx.run(_END, offer=offer_id, wanted="accepted", appointment=row["appointment_id"])
    await entries.set_status(tx, offer["entry_id"], "booked")
    tx.record("waitlist.accepted", offer_id, clinic_id=offer["clinic_id"], fields=("status",))
    return row


async def decline(tx: Transaction, offer_id: UUID) -> asyncpg.Record:
    """Give the offered time to the next one, and answer the entry, which goes on waiting."""
    offer = await _open(tx, offer_id)
    await _give_back(tx, offer)
    await entries.set_status(tx, offer["entry_id"], "waiting")
    return await entries.find(tx, offer["entry_id"])


async def leave(tx: Transaction, entry_id: UUID) -> asyncpg.Record:
    """End an entry, and give an offered time to the next one. The entry must be locked."""
    entry = await entries.find(tx, entry_id)
    if entry["offer_id"]:
        (offer,) = await tx.all(_FIND, offer=entry["offer_id"])
        await _give_back(tx, offer)
    if await entries.set_status(tx, entry_id, "left"):
        tx.record(
            "waitlist.left", entry_id, clinic_id=entry["wanted_clinic_id"], fields=("status",)
        )
    return await entries.find(tx, entry_id)


async def _open(tx: Transaction, offer_id: UUID) -> asyncpg.Record:
    offer = await tx.one(_FIND, offer=offer_id)
    if offer is None:
        raise NotFound("There is no such offer.")
    if offer["status"] != "open" or offer["expire_time"] <= tx.now:
        raise OfferEnded
    return offer


async def _give_back(tx: Transaction, offer: asyncpg.Record) -> None:
    """End an offer with its hold, if that has not ended before."""
    with suppress(NotFound):
        await holding.release(tx, offer["hold_id"])
    await tx.run(_END, offer=offer["offer_id"], wanted="declined", appointment=None)
    tx.record(
        "waitlist.declined",
        offer["offer_id"],
        clinic_id=offer["clinic_id"],
        fields=("status",),
        event={"doctor_id": offer["doctor_id"]},
    )
