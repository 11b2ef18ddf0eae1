"""What the owner of an account does with proofs."""

from uuid import UUID

from server.account import proofs
from server.account.proofs import LinkInvalid
from server.auth import contact, sessions
from server.auth import service as auth
from server.core.db import Transaction
from server.core.ids import new_id


async def verify_email(tx: Transaction, proof_id: UUID) -> None:
    """Note that the address is proven, under the account's lock; LinkInvalid when it is not."""
    given = await proofs.spend(tx, proof_id, proofs.VERIFY_EMAIL)
    if not await contact.verify_email(tx, tx.user_id, given.address):
        raise LinkInvalid


async def ask_for_verification(tx: Transaction) -> None:
    """Have another mail sent to the caller, unless the address is proven."""
    if not await contact.is_verified(tx, tx.user_id):
        event = {"user_id": str(tx.user_id)}
        tx.record("user.verification_requested", tx.user_id, event=event)


async def ask_for_reset(tx: Transaction, address: str) -> None:
    """Note that somebody wants a new password for `address`.

    Whether there is an account nobody looks here, so that both cases cost the same.
    """
    proof_id = new_id(tx.now)
    await proofs.ask(tx, proof_id, proofs.RESET_PASSWORD, address=address, user_id=None)
    tx.record("user.password_reset_requested", proof_id, event={"proof_id": str(proof_id)})


async def reset_password(tx: Transaction, proof_id: UUID, password_hash: str) -> list[UUID]:
    """Set the password and answer the sessions that ended, under both locks of the account.

    LinkInvalid when the proof is not good, or older than the password or the address.
    """
    given = await proofs.spend(tx, proof_id, proofs.RESET_PASSWORD)
    if not await contact.verify_email(tx, tx.user_id, given.address):
        raise LinkInvalid
    replaced = await auth.replace_password(
        tx, tx.user_id, password_hash, not_changed_since=given.create_time
    )
    if not replaced:
        raise LinkInvalid
    event = {"user_id": str(tx.user_id)}
    tx.record("user.password_reset", tx.user_id, fields=("password",), event=event)
    return await sessions.end(tx, tx.user_id, sessions.END_ALL, reason="password_change")
