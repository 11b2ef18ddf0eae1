"""What the owner of an account does with proofs."""

from uuid import UUID

from server.account import proofs
from server.account.proofs import LinkInvalid
from server.account.tokens import ProofTokens
from server.auth import contact, own_sessions, sessions
from server.auth import service as auth
from server.core.db import Transaction
from server.core.errors import FailedPrecondition, InvalidField
from server.core.ids import new_id


class WrongCode(FailedPrecondition):
    """The code is wrong, used, expired, or was tried too often: nobody is told which."""

    reason = "WRONG_CODE"
    text = "The code is wrong or not valid any more."


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
    return await sessions.end(tx, tx.user_id, sessions.END_ALL, reason="password_reset")


async def ask_for_email_change(tx: Transaction, address: str) -> None:
    """Have a mail sent to the caller's new address, if they have just proven who they are.

    Whether somebody else has it nobody looks here.
    """
    await own_sessions.require_proof(tx)
    account = await auth.account(tx, tx.user_id)
    if address.lower() == account["email"].lower():
        raise InvalidField("new_email", "must be another address than the present one")
    await _ask(tx, proofs.CHANGE_EMAIL, address, "user.email_change_requested")


async def change_email(tx: Transaction, proof_id: UUID) -> None:
    """Make the proven address that of the account, under its lock; LinkInvalid when it is not."""
    given = await proofs.spend(tx, proof_id, proofs.CHANGE_EMAIL)
    previous = await contact.change_email(tx, tx.user_id, given.address)
    await tx.run(proofs.KEEP_PREVIOUS, id=proof_id, previous=previous)
    event = {"proof_id": str(proof_id)}
    tx.record("user.email_changed", tx.user_id, fields=("email",), event=event)


async def ask_for_phone_code(tx: Transaction, phone: str) -> None:
    """Have a code sent to a telephone of the caller; one that was sent before is worthless."""
    await proofs.void(tx, proofs.VERIFY_PHONE)
    await _ask(tx, proofs.VERIFY_PHONE, phone, "user.phone_code_requested")


async def confirm_phone(tx: Transaction, tokens: ProofTokens, code: str) -> bool:
    """Make the telephone to which the code was sent that of the account, under its lock.

    False when the code is wrong: the caller lets the transaction commit, since that counts.
    """
    proof_id = await proofs.try_code(tx, tokens, code)
    if proof_id is None:
        tx.record("user.phone_code_wrong", tx.user_id)
        return False
    given = await proofs.spend(tx, proof_id, proofs.VERIFY_PHONE)
    await contact.set_phone(tx, tx.user_id, given.address)
    tx.record("user.phone_verified", tx.user_id, fields=("phone", "phone_verify_time"))
    return True


async def _ask(tx: Transaction, purpose: str, address: str, action: str) -> None:
    """Ask the caller for a proof at an address, which stands in the proof alone."""
    proof_id = new_id(tx.now)
    await proofs.ask(tx, proof_id, purpose, address=address, user_id=tx.user_id)
    tx.record(action, tx.user_id, event={"proof_id": str(proof_id)})
