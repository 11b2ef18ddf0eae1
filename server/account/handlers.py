"""What follows for accounts from what has happened: which proofs are asked for, and how.

A proof that an event asks for has the event's id, so that there is one however often it comes.
"""

from uuid import UUID

from sqlalchemy import Text, bindparam, func, select

from server.account import proofs
from server.auth import queries as auth
from server.core.db import Transaction, sql
from server.core.outbox import Event, Handlers
from server.mail import service as mail

MOST_RESETS = 5
"""How many resets of one account may be good at once; who asked for them has them in the mail."""

_people = auth.recipients()
_ACTIVE = _people.c.status == "active"
BY_ID = sql(select(_people).where(_people.c.user_id == bindparam("id"), _ACTIVE))
BY_EMAIL = sql(
    select(_people).where(
        func.lower(_people.c.email) == func.lower(bindparam("address", type_=Text)), _ACTIVE
    )
)


async def tell_owner(tx: Transaction, event: Event) -> None:
    """Tell the owner of an address that somebody tried to register with it."""
    owner = event.subject_id
    await mail.post(tx, event, "registration_repeated", owner, user_id=owner)


async def ask_to_verify(tx: Transaction, event: Event) -> None:
    """Ask the person to prove the address of their account."""
    person = await tx.one(BY_ID, id=event.subject_id)
    if person is None:
        return
    proof_id, user_id, address = event.outbox_id, person["user_id"], person["email"]
    await proofs.ask(tx, proof_id, proofs.VERIFY_EMAIL, address=address, user_id=user_id)
    await _post(tx, event, proofs.VERIFY_EMAIL, proof_id, user_id=user_id, address=address)


async def find_owner(tx: Transaction, event: Event) -> None:
    """Find whose password is to be reset and tell them how; forget it when there is nobody."""
    proof = await proofs.find_good(tx, event.subject_id)
    if proof is None:
        return
    person = await tx.one(BY_EMAIL, address=proof["address"])
    if person is None or not await _may_reset(tx, person["user_id"]):
        await tx.run(proofs.DELETE, id=proof["proof_id"])
        return
    user_id, address = person["user_id"], person["email"]
    await tx.run(proofs.NAME_OWNER, id=proof["proof_id"], user=user_id)
    why = proofs.RESET_PASSWORD
    await _post(tx, event, why, proof["proof_id"], user_id=user_id, address=address)


async def tell_reset(tx: Transaction, event: Event) -> None:
    """Tell a person that their password was reset."""
    owner = event.subject_id
    await mail.post(tx, event, "password_was_reset", owner, user_id=owner)


async def _may_reset(tx: Transaction, user_id: UUID) -> bool:
    why = proofs.RESET_PASSWORD
    row = await tx.one(proofs.COUNT_GOOD, user=user_id, why=why, now=tx.now)
    return row is not None and row["good"] < MOST_RESETS


async def _post(
    tx: Transaction, event: Event, purpose: str, proof_id: UUID, *, user_id: UUID, address: str
) -> None:
    """Have the letter with the token sent to where the proof is asked for, while it is good."""
    lasting = proofs.LASTING[purpose]
    await mail.post(tx, event, purpose, proof_id, user_id=user_id, address=address, lasting=lasting)


HANDLERS: Handlers = {
    "user.registered": (ask_to_verify,),
    "user.verification_requested": (ask_to_verify,),
    "user.registration_repeated": (tell_owner,),
    "user.password_reset_requested": (find_owner,),
    "user.password_reset": (tell_reset,),
}
