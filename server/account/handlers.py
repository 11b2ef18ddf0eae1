"""What follows for accounts from what has happened: which proofs are asked for, and how.

A proof that an event asks for has the event's id, so that there is one however often it comes.
"""

from typing import Any
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
_with_address = select(_people).where(
    func.lower(_people.c.email) == func.lower(bindparam("address", type_=Text))
)
BY_EMAIL = sql(_with_address.where(_ACTIVE))
ANY_BY_EMAIL = sql(_with_address)


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


async def ask_new_address(tx: Transaction, event: Event) -> None:
    """Ask for the proof of a new address; who has it already is told that somebody wanted it."""
    proof = await proofs.find_good(tx, UUID(event.payload["proof_id"]))
    if proof is None:
        return
    other = await tx.one(ANY_BY_EMAIL, address=proof["address"])
    if other is None:
        await _ask_at(tx, event, proof)
    elif other["status"] == "active":
        owner = other["user_id"]
        await mail.post(tx, event, "address_wanted", owner, user_id=owner)


async def send_code(tx: Transaction, event: Event) -> None:
    """Send the code to the telephone."""
    proof = await proofs.find_good(tx, UUID(event.payload["proof_id"]))
    if proof is not None:
        await _ask_at(tx, event, proof, channel="sms")


async def tell_previous(tx: Transaction, event: Event) -> None:
    """Tell whoever reads the previous address that it is not that of the account any more."""
    proof: Any = await tx.one(proofs.GET, id=UUID(event.payload["proof_id"]))
    if proof is None or proof["previous_address"] is None:
        return
    owner, previous = proof["user_id"], proof["previous_address"]
    await mail.post(tx, event, "email_changed", owner, user_id=owner, address=previous)
    await tx.run(proofs.KEEP_PREVIOUS, id=proof["proof_id"], previous=None)


async def say_farewell(tx: Transaction, event: Event) -> None:
    """Forget the letters to an account that has ended, and tell its owner that it has."""
    proof: Any = await tx.one(proofs.GET, id=UUID(event.payload["proof_id"]))
    if proof is None:
        return
    await mail.forget(tx, event.subject_id)
    subject, address = event.subject_id, proof["address"]
    await mail.post(tx, event, "account_deleted", subject, address=address)
    await tx.run(proofs.DELETE, id=proof["proof_id"])


async def tell_reset(tx: Transaction, event: Event) -> None:
    """Tell a person that their password was reset."""
    owner = event.subject_id
    await mail.post(tx, event, "password_was_reset", owner, user_id=owner)


async def _may_reset(tx: Transaction, user_id: UUID) -> bool:
    why = proofs.RESET_PASSWORD
    row = await tx.one(proofs.COUNT_GOOD, user=user_id, why=why, now=tx.now)
    return row is not None and row["good"] < MOST_RESETS


async def _ask_at(tx: Transaction, event: Event, proof: Any, *, channel: str = "email") -> None:
    """Send to where a proof is asked for what it is given with."""
    whose = {"user_id": proof["user_id"], "address": proof["address"]}
    await _post(tx, event, proof["purpose"], proof["proof_id"], channel=channel, **whose)


async def _post(
    tx: Transaction,
    event: Event,
    purpose: str,
    proof_id: UUID,
    *,
    user_id: UUID,
    address: str,
    channel: str = "email",
) -> None:
    """Have the letter with the token sent to where the proof is asked for, while it is good."""
    lasting = proofs.LASTING[purpose]
    await mail.post(
        tx,
        event,
        purpose,
        proof_id,
        user_id=user_id,
        address=address,
        channel=channel,
        lasting=lasting,
    )


HANDLERS: Handlers = {
    "user.registered": (ask_to_verify,),
    "user.verification_requested": (ask_to_verify,),
    "user.registration_repeated": (tell_owner,),
    "user.password_reset_requested": (find_owner,),
    "user.password_reset": (tell_reset,),
    "user.email_change_requested": (ask_new_address,),
    "user.email_changed": (tell_previous,),
    "user.phone_code_requested": (send_code,),
    "user.deleted": (say_farewell,),
}
