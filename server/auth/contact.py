"""What people have proven of the addresses under which they are reached."""

from uuid import UUID

from sqlalchemy import bindparam, select, update

from server.auth.models import UserAccount
from server.core.db import Transaction, sql

IS_VERIFIED = sql(
    select(UserAccount.email_verify_time.is_not(None).label("verified")).where(
        UserAccount.user_id == bindparam("id")
    )
)
GET_EMAIL = sql(
    select(UserAccount.email, UserAccount.email_verify_time).where(
        UserAccount.user_id == bindparam("id")
    )
)
VERIFY_EMAIL = sql(
    update(UserAccount)
    .where(UserAccount.user_id == bindparam("id"), UserAccount.email_verify_time.is_(None))
    .values(
        email_verify_time=bindparam("now"),
        update_time=bindparam("now"),
        revision=UserAccount.revision + 1,
    )
)


async def is_verified(tx: Transaction, user_id: UUID) -> bool:
    """Say whether the caller has proven their address."""
    row = await tx.one(IS_VERIFIED, id=user_id)
    return bool(row and row["verified"])


async def verify_email(tx: Transaction, user_id: UUID, address: str) -> bool:
    """Note that the person has proven `address`, under `account_lock`.

    False when the account has another one.
    """
    row = await tx.one(GET_EMAIL, id=user_id)
    if row is None or row["email"].lower() != address.lower():
        return False
    if row["email_verify_time"] is None:
        await tx.run(VERIFY_EMAIL, id=user_id, now=tx.now)
        tx.record("user.email_verified", user_id, fields=("email_verify_time",))
    return True
