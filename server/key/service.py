"""Keys as people manage them: made, listed, given a new secret, revoked."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import (
    TIMESTAMP,
    Integer,
    Uuid,
    any_,
    bindparam,
    func,
    insert,
    select,
    tuple_,
    update,
)
from sqlalchemy.orm import aliased

from server.core.db import Lock, Transaction, sql
from server.core.errors import FailedPrecondition, NotFound, PermissionDenied
from server.core.ids import new_id
from server.core.statement import Statement
from server.key.models import AccessKey, AccessKeySecret
from server.key.secret import SecretHashes, new_secret, shown

Keyset = tuple[datetime, UUID]

_PRESENT, _OLD = aliased(AccessKeySecret), aliased(AccessKeySecret)
# The database keeps one secret without an end, and `rotate` one that is in its overlap.
_OVERLAP = (
    select(func.max(_OLD.expire_time))
    .where(_OLD.key_id == AccessKey.key_id, _OLD.expire_time > bindparam("now"))
    .scalar_subquery()
)
_KEY = (
    select(AccessKey, _PRESENT.prefix, _OVERLAP.label("overlap_end_time"))
    .join(_PRESENT, _PRESENT.key_id == AccessKey.key_id)
    .where(_PRESENT.expire_time.is_(None))
)
_AFTER = tuple_(
    bindparam("after_time", type_=TIMESTAMP(timezone=True)), bindparam("after_id", type_=Uuid)
)
_IS_MANAGED = sql(
    select((bindparam("clinic", type_=Uuid) == any_(func.app_managed_clinics())).label("managed"))
)
GET = sql(_KEY.where(AccessKey.key_id == bindparam("key")))
INSERT = sql(
    insert(AccessKey).values(
        key_id=bindparam("key"),
        clinic_id=bindparam("clinic"),
        name=bindparam("new_name"),
        scopes=bindparam("new_scopes"),
        create_time=bindparam("now"),
    )
)
INSERT_SECRET = sql(
    insert(AccessKeySecret).values(
        secret_id=bindparam("secret"),
        key_id=bindparam("key"),
        secret_hash=bindparam("hash"),
        prefix=bindparam("begins"),
        create_time=bindparam("now"),
    )
)
END_OVERLAP = sql(
    update(AccessKeySecret)
    .where(
        AccessKeySecret.key_id == bindparam("key"), AccessKeySecret.expire_time > bindparam("now")
    )
    .values(expire_time=bindparam("now"))
)
END_PRESENT = sql(
    update(AccessKeySecret)
    .where(AccessKeySecret.key_id == bindparam("key"), AccessKeySecret.expire_time.is_(None))
    .values(expire_time=bindparam("until"))
)
REVOKE = sql(
    update(AccessKey)
    .where(AccessKey.key_id == bindparam("key"), AccessKey.revoke_time.is_(None))
    .values(revoke_time=bindparam("now"))
)


class KeyRevoked(FailedPrecondition):
    """A key that was revoked gets no other secret."""

    reason = "KEY_REVOKED"
    text = "The key was revoked; make another one."


def key_lock(key_id: UUID) -> Lock:
    """Let one change of a key run at a time."""
    return Lock("SELECT FROM access_key WHERE key_id = {} FOR NO KEY UPDATE", key_id)


async def admit(tx: Transaction, clinic_id: UUID | None) -> None:
    """Refuse who does not manage the clinic; without one, who is no administrator."""
    if clinic_id is None:
        if tx.caller.role != "admin":
            raise PermissionDenied
        return
    row = await tx.one(_IS_MANAGED, clinic=clinic_id)
    if row is None or not row["managed"]:
        raise NotFound("There is no such clinic of yours.")


async def create(
    tx: Transaction,
    hashes: SecretHashes,
    *,
    clinic_id: UUID | None,
    name: str,
    scopes: Sequence[str],
) -> tuple[asyncpg.Record, str]:
    """Make a key and answer it with its secret."""
    await admit(tx, clinic_id)
    key_id = new_id(tx.now)
    values = {"new_name": name, "new_scopes": list(scopes), "now": tx.now}
    await tx.run(INSERT, key=key_id, clinic=clinic_id, **values)
    secret = await _add_secret(tx, hashes, key_id)
    tx.record("key.created", key_id, clinic_id=clinic_id, fields=("name", "scopes"))
    return await find(tx, key_id), secret


async def find(tx: Transaction, key_id: UUID) -> asyncpg.Record:
    """Answer a key that the caller manages; NotFound otherwise."""
    row = await tx.one(GET, key=key_id, now=tx.now)
    if row is None:
        raise NotFound("There is no such key.")
    return row


async def rotate(
    tx: Transaction, hashes: SecretHashes, key_id: UUID, *, overlap: timedelta
) -> tuple[asyncpg.Record, str]:
    """Give the key another secret under `key_lock`; answer both.

    The present one ends after the overlap, and one that was in its overlap now.
    """
    row = await find(tx, key_id)
    if row["revoke_time"]:
        raise KeyRevoked
    await tx.run(END_OVERLAP, key=key_id, now=tx.now)
    await tx.run(END_PRESENT, key=key_id, until=tx.now + overlap)
    secret = await _add_secret(tx, hashes, key_id)
    tx.record("key.rotated", key_id, clinic_id=row["clinic_id"], fields=("secret",))
    return await find(tx, key_id), secret


async def revoke(tx: Transaction, key_id: UUID) -> asyncpg.Record:
    """Revoke the key under `key_lock`, if it is not yet, and answer it."""
    row = await find(tx, key_id)
    if row["revoke_time"]:
        return row
    await tx.run(REVOKE, key=key_id, now=tx.now)
    changed = {"revoke_time": (None, tx.now)}
    tx.record("key.revoked", key_id, clinic_id=row["clinic_id"], fields=changed)
    return await find(tx, key_id)


@cache
def _page(*, of_platform: bool, later_page: bool) -> Statement:
    clinic = AccessKey.clinic_id
    whose = clinic.is_(None) if of_platform else clinic == bindparam("clinic", type_=Uuid)
    query = _KEY.where(whose)
    if later_page:
        query = query.where(tuple_(AccessKey.create_time, AccessKey.key_id) > _AFTER)
    ordered = query.order_by(AccessKey.create_time, AccessKey.key_id)
    return sql(ordered.limit(bindparam("size", type_=Integer)))


async def listed(
    tx: Transaction, clinic_id: UUID | None, *, after: Keyset | None, size: int
) -> list[asyncpg.Record]:
    """Answer up to `size` keys of a clinic or of the platform, the oldest first."""
    await admit(tx, clinic_id)
    values: dict[str, Any] = {"clinic": clinic_id} if clinic_id else {}
    if after:
        values |= {"after_time": after[0], "after_id": after[1]}
    statement = _page(of_platform=clinic_id is None, later_page=after is not None)
    return await tx.all(statement, now=tx.now, size=size, **values)


async def _add_secret(tx: Transaction, hashes: SecretHashes, key_id: UUID) -> str:
    secret = new_secret()
    await tx.run(
        INSERT_SECRET,
        secret=new_id(tx.now),
        key=key_id,
        hash=hashes.make(key_id, secret),
        begins=shown(secret),
        now=tx.now,
    )
    return secret
