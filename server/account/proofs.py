"""Proofs: asked for at an address, given once, forgotten when they are over."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Uuid, bindparam, column, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from server.account.models import AccountProof
from server.account.tokens import ProofTokens
from server.core.access import Caller
from server.core.db import Database, Reader, Transaction, sql
from server.core.errors import FailedPrecondition
from server.core.jobs import Job

VERIFY_EMAIL, RESET_PASSWORD = "verify_email", "reset_password"
CHANGE_EMAIL, VERIFY_PHONE = "change_email", "verify_phone"
DELETE_ACCOUNT = "delete_account"
"""Asks for nothing, and carries the address until the last letter is on its way."""
LASTING = {
    VERIFY_EMAIL: timedelta(days=3),
    RESET_PASSWORD: timedelta(minutes=30),
    CHANGE_EMAIL: timedelta(days=1),
    VERIFY_PHONE: timedelta(minutes=10),
    DELETE_ACCOUNT: timedelta(days=3),
}
MOST_TRIES = 5
KEPT = timedelta(days=30)

_COLUMNS = ("proof_id", "user_id", "purpose", "address", "create_time", "expire_time")
ASK = sql(
    insert(AccountProof)
    .values({name: bindparam(f"v_{name}") for name in _COLUMNS})
    # no target and nothing returned, since nobody may read what nobody has
    .on_conflict_do_nothing()
    .inline()
)
_OWNERS = func.find_account_proof(bindparam("proof", type_=Uuid)).table_valued(
    column("user_id", Uuid), column("role")
)
FIND_OWNER = sql(select(_OWNERS))
_IS_GOOD = (
    AccountProof.use_time.is_(None),
    AccountProof.expire_time > bindparam("now"),
)
SPEND = sql(
    update(AccountProof)
    .where(
        AccountProof.proof_id == bindparam("id"),
        AccountProof.purpose == bindparam("why"),
        *_IS_GOOD,
    )
    .values(use_time=bindparam("now"))
    .returning(AccountProof.address, AccountProof.create_time)
)
VOID = sql(
    update(AccountProof)
    .where(
        AccountProof.user_id == bindparam("user"),
        AccountProof.purpose == bindparam("why"),
        AccountProof.use_time.is_(None),
    )
    .values(use_time=bindparam("now"))
)
_newest = (
    select(AccountProof.proof_id)
    .where(
        AccountProof.user_id == bindparam("user"),
        AccountProof.purpose == VERIFY_PHONE,
        *_IS_GOOD,
    )
    .order_by(AccountProof.create_time.desc(), AccountProof.proof_id.desc())
    .limit(1)
    .scalar_subquery()
)
# The last conditions are looked at again once the row is locked: of many tries at once five count.
TRY = sql(
    update(AccountProof)
    .where(AccountProof.proof_id == _newest, AccountProof.tries < MOST_TRIES, *_IS_GOOD)
    .values(tries=AccountProof.tries + 1)
    .returning(AccountProof.proof_id)
)
KEEP_PREVIOUS = sql(
    update(AccountProof)
    .where(AccountProof.proof_id == bindparam("id"))
    .values(previous_address=bindparam("previous"))
)
GET = sql(select(AccountProof).where(AccountProof.proof_id == bindparam("id")))
GET_GOOD = sql(select(AccountProof).where(AccountProof.proof_id == bindparam("id"), *_IS_GOOD))
COUNT_GOOD = sql(
    select(func.count().label("good")).where(
        AccountProof.user_id == bindparam("user"),
        AccountProof.purpose == bindparam("why"),
        *_IS_GOOD,
    )
)
NAME_OWNER = sql(
    update(AccountProof)
    .where(AccountProof.proof_id == bindparam("id"))
    .values(user_id=bindparam("user"))
)
DELETE = sql(delete(AccountProof).where(AccountProof.proof_id == bindparam("id")))
DELETE_OLD = sql(delete(AccountProof).where(AccountProof.expire_time < bindparam("before")))


class LinkInvalid(FailedPrecondition):
    """The token is unknown, used, expired or of another purpose: nobody is told which."""

    reason = "LINK_INVALID"
    text = "The link is not valid any more; ask for a new one."


class Given(NamedTuple):
    """A proof that was given: where it had been asked for, and when."""

    address: str
    create_time: datetime


async def ask(
    tx: Transaction, proof_id: UUID, purpose: str, *, address: str, user_id: UUID | None
) -> None:
    """Note that a proof is asked for; it is good for as long as LASTING says."""
    values = (proof_id, user_id, purpose, address, tx.now, tx.now + LASTING[purpose])
    named = {f"v_{name}": value for name, value in zip(_COLUMNS, values, strict=True)}
    await tx.run(ASK, **named)


async def bearer(
    reader: Reader, tokens: ProofTokens, purpose: str, token: str
) -> tuple[Caller, UUID]:
    """Answer in whose name a token speaks and of which proof it is; LinkInvalid for none."""
    proof_id = tokens.read(purpose, token)
    row = await reader.one(FIND_OWNER, proof=proof_id) if proof_id else None
    if proof_id is None or row is None:
        raise LinkInvalid
    return Caller(row["user_id"], row["role"]), proof_id


async def spend(tx: Transaction, proof_id: UUID, purpose: str) -> Given:
    """Use the proof, and make all others of the purpose worthless; LinkInvalid a second time."""
    row = await tx.one(SPEND, id=proof_id, why=purpose, now=tx.now)
    if row is None:
        raise LinkInvalid
    await void(tx, purpose)
    return Given(*row.values())


async def void(tx: Transaction, purpose: str) -> None:
    """Make the caller's proofs of a purpose worthless."""
    await tx.run(VOID, user=tx.user_id, why=purpose, now=tx.now)


async def try_code(tx: Transaction, tokens: ProofTokens, code: str) -> UUID | None:
    """Count a try of the caller's newest code, and answer its proof if it is the one."""
    row = await tx.one(TRY, user=tx.user_id, now=tx.now)
    right = row is not None and tokens.is_code(row["proof_id"], code)
    return row["proof_id"] if row is not None and right else None


async def find_good(tx: Transaction, proof_id: UUID) -> Any:
    """Answer a proof that can still be given, or None."""
    return await tx.one(GET_GOOD, id=proof_id, now=tx.now)


async def forget_old(database: Database) -> bool:
    """Delete what was over a month ago."""
    async with database.transaction() as tx:
        await tx.run(DELETE_OLD, before=tx.now - KEPT)
    return False


JOBS = (Job("forget_account_proofs", 3600.0, forget_old),)
