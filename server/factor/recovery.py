"""Recovery codes: ten at a time, each good once, shown once and stored as hashes."""

import secrets

from sqlalchemy import LargeBinary, any_, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import ARRAY

from server.core.db import Transaction, sql
from server.factor.models import RecoveryCode
from server.factor.sealing import Sealing

COUNT = 10
LENGTH, GROUP = 16, 4
# Without what is read as something else: 0 and O, 1 and I and L, U and V.
ALPHABET = "23456789ABCDEFGHJKMNPQRSTWXYZ"

INSERT = sql(
    insert(RecoveryCode).values(
        code_hash=bindparam("hash"), user_id=bindparam("user"), create_time=bindparam("now")
    )
)
DELETE = sql(delete(RecoveryCode).where(RecoveryCode.user_id == bindparam("user")))
SPEND = sql(
    update(RecoveryCode)
    .where(
        RecoveryCode.user_id == bindparam("user"),
        RecoveryCode.code_hash == any_(bindparam("hashes", type_=ARRAY(LargeBinary))),
        RecoveryCode.spend_time.is_(None),
    )
    .values(spend_time=bindparam("now"))
    .returning(RecoveryCode.user_id)
)
COUNT_LEFT = sql(
    select(func.count().label("left")).where(
        RecoveryCode.user_id == bindparam("user"), RecoveryCode.spend_time.is_(None)
    )
)


async def renew(tx: Transaction, sealing: Sealing) -> list[str]:
    """Replace the caller's codes by new ones, and answer these."""
    codes = [_new_code() for _ in range(COUNT)]
    await tx.run(DELETE, user=tx.user_id)
    hashes = [sealing.hashes(tx.user_id, _plain(code))[0] for code in codes]
    await tx.many(INSERT, [{"hash": each, "user": tx.user_id, "now": tx.now} for each in hashes])
    tx.record("recovery_codes.renewed", tx.user_id)
    return codes


async def void(tx: Transaction) -> None:
    """Remove the caller's codes."""
    await tx.run(DELETE, user=tx.user_id)


async def spend(tx: Transaction, sealing: Sealing, given: str) -> bool:
    """Use a code of the caller's up; False when it is none, or was used before."""
    hashes = sealing.hashes(tx.user_id, _plain(given))
    return await tx.one(SPEND, user=tx.user_id, hashes=hashes, now=tx.now) is not None


async def left(tx: Transaction) -> int:
    """Count the caller's codes that are not used."""
    row = await tx.one(COUNT_LEFT, user=tx.user_id)
    return int(row["left"]) if row else 0


def _new_code() -> str:
    letters = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    return "-".join(letters[place : place + GROUP] for place in range(0, LENGTH, GROUP))


def _plain(code: str) -> str:
    return "".join(character for character in code.upper() if character.isalnum())
