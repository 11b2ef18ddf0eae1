"""The end of an account: the person goes, and what the law asks to be kept stays without a name."""

from uuid import UUID

from sqlalchemy import TIMESTAMP, Uuid, bindparam, column, func, or_, select

from server.account import proofs
from server.appointment import queries as appointment
from server.auth import own_sessions
from server.auth import service as auth
from server.core.db import Lock, Transaction, sql
from server.core.errors import FailedPrecondition
from server.core.ids import new_id
from server.directory import queries as directory
from server.patient import queries as patient
from server.waitlist import entries, offers

MOST_ENTRIES = 100

_visits = appointment.coming_visits()
_patients = patient.patients()
_own = select(_patients.c.patient_id).where(_patients.c.account_id == func.app_user())
COMING = sql(
    select(_visits.c.appointment_id)
    .where(
        or_(_visits.c.patient_id.in_(_own), _visits.c.doctor_id == func.app_user()),
        _visits.c.end_time > bindparam("now"),
    )
    .limit(1)
)
_works = directory.own_work()
WORKS = sql(select(_works.c.place).limit(1))
_erased = func.erase_account(bindparam("at", type_=TIMESTAMP(timezone=True))).table_valued(
    column("ended", Uuid)
)
ERASE = sql(select(_erased))


class AccountInUse(FailedPrecondition):
    """Others count on the person; `by` says for what."""

    reason = "ACCOUNT_IN_USE"


def lock(user_id: UUID) -> Lock:
    """Lock the account with its patients, so that a visit that is being booked is waited for."""
    return Lock(
        "SELECT FROM user_account WHERE user_id = {0} FOR UPDATE;"
        "SELECT FROM patient WHERE account_id = {0} FOR UPDATE",
        user_id,
    )


async def delete(tx: Transaction) -> list[UUID]:
    """End the caller's account, under `lock`, and answer the sessions that ended with it.

    Raises ReauthenticationRequired, and AccountInUse while visits are to come or the person works
    somewhere: others would wait in vain.
    """
    await own_sessions.require_proof(tx)
    await _refuse_in_use(tx)
    account = await auth.account(tx, tx.user_id)
    while waits := await entries.of_account(tx, ended=False, after=None, size=MOST_ENTRIES):
        for entry in waits:
            await offers.leave(tx, entry["entry_id"])
    ended = [row["ended"] for row in await tx.all(ERASE, at=tx.now)]
    # The last letter goes to an address that the account has no more.
    farewell = new_id(tx.now)
    address, why = account["email"], proofs.DELETE_ACCOUNT
    await proofs.ask(tx, farewell, why, address=address, user_id=tx.user_id)
    event = {"proof_id": str(farewell)}
    tx.record("user.deleted", tx.user_id, fields=("status",), event=event)
    return ended


async def _refuse_in_use(tx: Transaction) -> None:
    if await tx.one(COMING, now=tx.now):
        said = "Call off the visits that are to come first."
        raise AccountInUse(said, metadata={"by": "visits"})
    if tx.caller.role == "admin" or await tx.one(WORKS):
        said = "Leave the clinics first; the account of a doctor is ended by an administrator."
        raise AccountInUse(said, metadata={"by": "work"})
