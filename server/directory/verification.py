"""Whether a doctor is one: requests to be verified, and what administrators decide on them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from asyncpg import Record
from sqlalchemy import Uuid, bindparam, func, insert, literal_column, or_, select, update
from sqlalchemy.dialects.postgresql import aggregate_order_by

from server.core.db import Transaction, refusing, sql
from server.core.errors import AlreadyExists, FailedPrecondition, NotFound
from server.directory.keyset import Listing
from server.directory.models import DoctorProfile, DoctorSpecialty, Specialty, Verification

Decision = Literal["verified", "rejected"]

# Written out, not bound: only so does the planner know the partial indexes to fit.
_OPEN = Verification.status == literal_column("'pending'")
_LIVE = _OPEN | (Verification.status == literal_column("'verified'"))
_SPECIALTIES = (
    select(func.array_agg(aggregate_order_by(Specialty.slug, DoctorSpecialty.position)))
    .join(DoctorSpecialty, DoctorSpecialty.specialty_id == Specialty.specialty_id)
    .where(DoctorSpecialty.doctor_id == Verification.doctor_id)
    .scalar_subquery()
)
_EVIDENCE = select(
    Verification.verification_id,
    Verification.doctor_id,
    Verification.licence_number,
    Verification.licence_council,
    Verification.licence_year,
    Verification.status,
    Verification.reason,
    Verification.create_time,
    Verification.decide_time,
    DoctorProfile.full_name,
    DoctorProfile.qualifications,
    DoctorProfile.practising_since,
    _SPECIALTIES.label("specialties"),
).join(DoctorProfile, DoctorProfile.doctor_id == Verification.doctor_id)

PENDING = Listing(
    _EVIDENCE.where(_OPEN),
    Verification.create_time,
    Verification.verification_id,
)
GET = sql(_EVIDENCE.where(Verification.verification_id == bindparam("verification_id")))
LATEST = sql(
    select(
        Verification.licence_number,
        Verification.licence_council,
        Verification.licence_year,
        Verification.status,
        Verification.reason,
    )
    .where(Verification.doctor_id == bindparam("doctor"))
    .order_by(_LIVE.desc(), Verification.decide_time.desc().nulls_last())
    .limit(1)
)
LOCK_PROFILE = sql(
    select(DoctorProfile.doctor_id)
    .where(DoctorProfile.doctor_id == bindparam("doctor"))
    .with_for_update()
)
_SEEN = bindparam("seen", type_=Uuid)
DECIDE = sql(
    update(Verification)
    .where(
        Verification.doctor_id == bindparam("doctor"),
        _OPEN,
        or_(_SEEN.is_(None), Verification.verification_id == _SEEN),
    )
    .values(
        status=bindparam("decision"),
        reason=bindparam("why"),
        decide_time=bindparam("now"),
        decided_by=bindparam("admin"),
    )
    .returning(Verification.verification_id)
)
SET_STATUS = sql(
    update(DoctorProfile)
    .where(DoctorProfile.doctor_id == bindparam("doctor"))
    .values(
        verification_status=bindparam("decision"),
        revision=DoctorProfile.revision + 1,
        update_time=bindparam("now"),
    )
)
SUPERSEDE = sql(
    update(Verification)
    .where(
        Verification.doctor_id == bindparam("doctor"),
        _LIVE,
    )
    .values(status="superseded")
)
INSERT = sql(
    insert(Verification).values(
        doctor_id=bindparam("doctor"),
        licence_number=bindparam("number"),
        licence_council=bindparam("council"),
        licence_year=bindparam("year"),
        create_time=bindparam("now"),
    )
)


class NotPending(FailedPrecondition):
    """The doctor has no request that waits for a decision."""

    reason = "NOT_PENDING"
    text = "The doctor has no pending verification."


class LicenceInUse(AlreadyExists):
    """The licence stands behind another doctor."""

    reason = "LICENCE_IN_USE"
    text = "The licence is registered by another doctor."


async def list_pending(
    tx: Transaction, *, after: tuple[datetime, UUID] | None, limit: int
) -> list[Record]:
    """Answer up to `limit` requests with their evidence, the longest wait first.

    `after` is create_time and verification_id of the last row of the page before.
    """
    return await PENDING.page(tx, after=after, limit=limit)


async def decide(
    tx: Transaction,
    *,
    doctor_id: UUID,
    decision: Decision,
    reason: str,
    verification_id: UUID | None = None,
) -> Record:
    """Decide the doctor's pending request and answer it with its evidence; tell the doctor.

    NotFound without a profile, NotPending when nothing waits, or not the `verification_id` that
    was looked at. Of two administrators the second waits for the first and finds nothing pending.
    """
    if await tx.one(LOCK_PROFILE, doctor=doctor_id) is None:
        raise NotFound
    decided = await tx.one(
        DECIDE,
        doctor=doctor_id,
        seen=verification_id,
        decision=decision,
        why=reason,
        now=tx.now,
        admin=tx.caller.user_id,
    )
    if decided is None:
        raise NotPending
    await tx.run(SET_STATUS, doctor=doctor_id, decision=decision, now=tx.now)
    event = {"doctor_id": doctor_id, "reason": reason}
    fields = {"verification_status": ("pending", decision)}
    tx.record(f"doctor.{decision}", doctor_id, fields=fields, event=event)
    return await _evidence(tx, decided["verification_id"])


async def _evidence(tx: Transaction, verification_id: UUID) -> Record:
    row = await tx.one(GET, verification_id=verification_id)
    if row is None:
        raise NotFound
    return row


async def latest(tx: Transaction, doctor_id: UUID) -> Record | None:
    """Answer the licence of the request that counts, with its status and reason.

    That is the one that is open or granted, else the one refused last. Not the newest: of two made
    at once, the one that began first may come last.
    """
    return await tx.one(LATEST, doctor=doctor_id)


async def request(tx: Transaction, doctor_id: UUID, licence: Sequence[str | int]) -> None:
    """Ask for the verification of a new licence (number, council, year) under the profile's lock.

    The request before is superseded, also when it was granted, and the doctor is found no more.
    LicenceInUse when another doctor's request with this licence is open or granted.
    """
    number, council, year = licence
    await tx.run(SUPERSEDE, doctor=doctor_id)
    with refusing(verification_licence=LicenceInUse):
        await tx.run(
            INSERT, doctor=doctor_id, number=number, council=council, year=year, now=tx.now
        )
    await tx.run(SET_STATUS, doctor=doctor_id, decision="pending", now=tx.now)
    tx.record(
        "doctor.verification_requested",
        doctor_id,
        fields=("licence_number", "licence_council", "licence_year"),
        event={"doctor_id": doctor_id},
    )
