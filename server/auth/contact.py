"""What people have proven of the addresses under which they are reached."""

from uuid import UUID

from sqlalchemy import bindparam, select, update

from server.auth.models import UserAccount
from server.core.db import Transaction, refusing, sql
from server.core.errors import AlreadyExists

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
CHANGE_EMAIL = sql(
    update(UserAccount)
    .where(UserAccount.user_id == bindparam("id"))
    .values(
        email=bindparam("address"),
        email_verify_time=bindparam("now"),
        update_time=bindparam("now"),
        revision=UserAccount.revision + 1,
    )
)
SET_PHONE = sql(
    update(UserAccount)
    .where(UserAccount.user_id == bindparam("id"))
    .values(
        phone=bindparam("number"),
        phone_verify_time=bindparam("now"),
        update_time=bindparam("now"),
        revision=UserAccount.revision + 1,
    )
)


class EmailTaken(AlreadyExists):
    """Another account has the address by now; only who can read its mail is told."""

    text = "Another account has this address."


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


async def change_email(tx: Transaction, user_id: UUID, address: str) -> str:
    """Give the account a proven address, under `account_lock`, and answer the one before.

    EmailTaken when another account has it.
    """
    row = await tx.one(GET_EMAIL, id=user_id)
    with refusing(user_account_email=EmailTaken):
        await tx.run(CHANGE_EMAIL, id=user_id, address=address, now=tx.now)
    return str(row["email"]) if row else ""


async def set_phone(tx: Transaction, user_id: UUID, number: str) -> None:
    """Give the account a proven telephone number."""
    await tx.run(SET_PHONE, id=user_id, number=number, now=tx.now)
