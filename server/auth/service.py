"""Accounts: registration, one's own profile, the password; what other domains ask about people."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from asyncpg import Record
from sqlalchemy import (
    TIMESTAMP,
    Boolean,
    LargeBinary,
    Text,
    Uuid,
    any_,
    bindparam,
    case,
    column,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import postgresql

from server.auth.models import Credential, UserAccount
from server.core.db import Lock, Transaction, sql
from server.core.errors import Conflict, EtagMismatch, PermissionDenied, Unauthenticated

_ACCOUNT = (
    UserAccount.user_id,
    UserAccount.email,
    UserAccount.phone,
    UserAccount.full_name,
    UserAccount.role,
    UserAccount.status,
    UserAccount.time_zone,
    UserAccount.language,
    UserAccount.revision,
    UserAccount.create_time,
    UserAccount.update_time,
    UserAccount.email_verify_time,
    UserAccount.phone_verify_time,
)
_EDITABLE = ("full_name", "phone", "time_zone", "language")
# Another number is not proven.
_STILL_VERIFIED = case(
    (
        UserAccount.phone.is_not_distinct_from(bindparam("phone", type_=Text)),
        UserAccount.phone_verify_time,
    ),
    else_=None,
)
_CREDENTIALS = func.find_credential(
    bindparam("email", type_=Text),
    bindparam("network", type_=LargeBinary),
    bindparam("since", type_=TIMESTAMP(timezone=True)),
).table_valued(
    column("user_id", Uuid),
    column("role", Text),
    column("status", Text),
    column("password_hash", Text),
    column("registration_id", Uuid),
    column("known_network", Boolean),
)

FIND_CREDENTIAL = sql(select(_CREDENTIALS))
FIND_ACCOUNT = sql(
    select(
        func.find_account(bindparam("email", type_=Text)).table_valued(
            column("user_id", Uuid),
            column("email", Text),
            column("full_name", Text),
            column("role", Text),
        )
    )
)
GET = sql(select(*_ACCOUNT).where(UserAccount.user_id == bindparam("id")))
GET_MANY = sql(select(*_ACCOUNT).where(UserAccount.user_id == any_(bindparam("ids"))))
INSERT = sql(
    postgresql.insert(UserAccount)
    .values(
        {name: bindparam(name) for name in ("user_id", "email", "role", *_EDITABLE)}
        | {"create_time": bindparam("now"), "update_time": bindparam("now")}
    )
    .on_conflict_do_nothing()
    .returning(UserAccount.user_id)
)
INSERT_CREDENTIAL = sql(
    insert(Credential).values(
        user_id=bindparam("user_id"),
        password_hash=bindparam("password_hash"),
        registration_id=bindparam("registration_id"),
        change_time=bindparam("now"),
    )
)
UPDATE = sql(
    update(UserAccount)
    .where(UserAccount.user_id == bindparam("id"))
    .values(
        {name: bindparam(name) for name in _EDITABLE}
        | {"revision": UserAccount.revision + 1, "update_time": bindparam("now")}
        | {"phone_verify_time": _STILL_VERIFIED}
    )
    .returning(*_ACCOUNT)
)
GET_PASSWORD = sql(select(Credential.password_hash).where(Credential.user_id == bindparam("id")))
SET_PASSWORD = sql(
    update(Credential)
    .where(Credential.user_id == bindparam("id"))
    .values(password_hash=bindparam("password_hash"), change_time=bindparam("now"))
)
REPLACE_PASSWORD = sql(
    update(Credential)
    .where(Credential.user_id == bindparam("id"), Credential.change_time <= bindparam("since"))
    .values(password_hash=bindparam("password_hash"), change_time=bindparam("now"))
)


class WrongCredentials(Unauthenticated):
    """Unknown address, wrong password or disabled account: nobody is told which."""

    reason = "WRONG_CREDENTIALS"
    text = "The e-mail address and the password do not belong together."


class WrongPassword(PermissionDenied):
    """The current password, asked for again, is wrong."""

    reason = "WRONG_CREDENTIALS"
    text = "The current password is wrong."


def account_lock(user_id: UUID) -> Lock:
    """Lock the account against other edits."""
    return Lock("SELECT FROM user_account WHERE user_id = {} FOR UPDATE", user_id)


def credential_lock(user_id: UUID) -> Lock:
    """Lock the password: no session opens with it while it is being changed."""
    return Lock("SELECT FROM credential WHERE user_id = {} FOR UPDATE", user_id)


class Registration(NamedTuple):
    """A person's account to be; `phone` in E.164 form, `role` patient or doctor."""

    email: str
    role: str
    full_name: str
    phone: str | None = None
    time_zone: str = "UTC"
    language: str = "en"


async def register(
    tx: Transaction,
    user_id: UUID,
    registration: Registration,
    *,
    password_hash: str,
    registration_id: UUID | None = None,
) -> bool:
    """Make the account, or leave the one that the address has; True when it is new.

    Both ways cost the same statements. The person behind an account that exists is told of the
    attempt, unless it only repeats their own registration.
    """
    row = await tx.one(INSERT, user_id=user_id, now=tx.now, **registration._asdict())
    if row is None:
        await _note_repeated(tx, registration.email, registration_id)
        return False
    await tx.run(
        INSERT_CREDENTIAL,
        user_id=user_id,
        password_hash=password_hash,
        registration_id=registration_id,
        now=tx.now,
    )
    event = {"user_id": str(user_id), "role": registration.role}
    tx.record("user.registered", user_id, event=event)
    return True


async def _note_repeated(tx: Transaction, email: str, registration_id: UUID | None) -> None:
    found = await tx.one(FIND_CREDENTIAL, email=email, network=b"", since=tx.now)
    if found is None:
        return
    repeat = registration_id is not None and found["registration_id"] == registration_id
    event = None if repeat else {"user_id": str(found["user_id"])}
    tx.record("user.registration_repeated", found["user_id"], event=event)


async def account(tx: Transaction, user_id: UUID) -> Record:
    """Answer the caller's own account."""
    row = await tx.one(GET, id=user_id)
    if row is None:
        raise Unauthenticated
    return row


async def accounts(tx: Transaction, user_ids: Sequence[UUID]) -> dict[UUID, Record]:
    """Answer those of the accounts that the caller may see, by id, in one query."""
    return {row["user_id"]: row for row in await tx.all(GET_MANY, ids=list(user_ids))}


async def find_account(tx: Transaction, email: str) -> Record | None:
    """Answer user_id, email, full_name and role of the active account with this address.

    Only to those who may let somebody work at a clinic; to others there is none.
    """
    return await tx.one(FIND_ACCOUNT, email=email)


def etag(row: Record) -> str:
    """Answer the etag of an account."""
    return str(row["revision"])


async def edit(
    tx: Transaction, user_id: UUID, *, changes: Mapping[str, str | None], expected: str = ""
) -> Record:
    """Write `changes` (full_name, phone, time_zone, language), under `account_lock`.

    `expected` is the etag that the caller read, empty to overwrite. Nothing new, nothing written.
    """
    row = await account(tx, user_id)
    if expected and expected != etag(row):
        raise EtagMismatch
    changed = [name for name, value in changes.items() if value != row[name]]
    if not changed:
        return row
    values = {name: row[name] for name in _EDITABLE} | dict(changes)
    edited = await tx.one(UPDATE, id=user_id, now=tx.now, **values)
    assert edited is not None  # noqa: S101 - the row is locked
    tx.record("user.edited", user_id, fields=changed)
    return edited


async def password_hash(tx: Transaction, user_id: UUID) -> str:
    """Answer the hash of the caller's password."""
    row = await tx.one(GET_PASSWORD, id=user_id)
    if row is None:
        raise Unauthenticated
    return str(row["password_hash"])


async def set_password(
    tx: Transaction, user_id: UUID, *, old_hash: str, new_hash: str, action: str
) -> None:
    """Replace the hash, under `credential_lock`; Conflict when it is not the old one any more.

    With two equal hashes it only makes sure of that.
    """
    if await password_hash(tx, user_id) != old_hash:
        raise Conflict
    if new_hash != old_hash:
        await tx.run(SET_PASSWORD, id=user_id, password_hash=new_hash, now=tx.now)
        tx.record(action, user_id, fields=("password",))


async def replace_password(
    tx: Transaction, user_id: UUID, new_hash: str, *, not_changed_since: datetime
) -> bool:
    """Set the hash, whatever it was, if it was not changed since; say whether it was set."""
    values = {"password_hash": new_hash, "since": not_changed_since, "now": tx.now}
    return await tx.run(REPLACE_PASSWORD, id=user_id, **values) > 0
