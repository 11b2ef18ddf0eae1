"""Sessions: opened by a sign-in, carried on by refresh tokens, ended by owner or misuse."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    LargeBinary,
    Text,
    Uuid,
    bindparam,
    column,
    func,
    insert,
    select,
    update,
)

from server.auth.devices import Device
from server.auth.keyed import KeyedHash, new_token, token_hash
from server.auth.models import RefreshToken, Session
from server.core.db import Lock, Transaction, sql
from server.core.errors import Unauthenticated
from server.core.statement import Statement

LIFETIME = timedelta(days=180)
IDLE = timedelta(days=30)
GRACE = timedelta(seconds=10)
"""How long a token that was exchanged still answers with the same successor."""

_OWNERS = func.find_refresh_token(bindparam("token_hash", type_=LargeBinary)).table_valued(
    column("user_id", Uuid), column("role", Text), column("session_id", Uuid)
)
FIND_OWNER = sql(select(_OWNERS))
INSERT = sql(
    insert(Session).values(
        {
            name: bindparam(name)
            for name in (
                *("session_id", "user_id", "network_hash", "device", "subnet"),
                *("create_time", "expire_time", "use_time", "proof_time"),
                "second_factor_time",
            )
        }
    )
)
INSERT_TOKEN = sql(
    insert(RefreshToken).values(
        {
            name: bindparam(name)
            for name in ("token_hash", "user_id", "session_id", "create_time", "expire_time")
        }
    )
)
GET_TOKEN = sql(
    select(
        RefreshToken.expire_time,
        RefreshToken.spend_time,
        Session.expire_time.label("session_expire_time"),
        Session.end_time,
    )
    .join(Session, Session.session_id == RefreshToken.session_id)
    .where(RefreshToken.token_hash == bindparam("hash"))
    .where(RefreshToken.session_id == bindparam("session"))
)
TOUCH = sql(
    update(Session)
    .where(Session.session_id == bindparam("session"))
    .values(use_time=bindparam("now"))
)
SPEND = sql(
    update(RefreshToken)
    .where(RefreshToken.token_hash == bindparam("hash"))
    .values(spend_time=bindparam("now"))
)


class SessionEnded(Unauthenticated):
    """The refresh token buys nothing any more."""

    reason = "SESSION_ENDED"
    text = "The session has ended; sign in again."


class Next(NamedTuple):
    """The refresh token to hold from now on, and when it stops being accepted."""

    token: str
    expire_time: datetime


def _ending(*which: ColumnElement[bool]) -> Statement:
    return sql(
        update(Session)
        .where(Session.user_id == bindparam("user"), Session.end_time.is_(None), *which)
        .values(end_time=bindparam("now"), end_reason=bindparam("reason"))
        .returning(Session.session_id)
    )


END_ONE = _ending(Session.session_id == bindparam("session"))
END_OTHERS = _ending(Session.session_id != bindparam("session"))
END_ALL = _ending()


def family_lock(session_id: UUID) -> Lock:
    """Lock the session, so that its refresh tokens are exchanged one after the other."""
    return Lock("SELECT FROM session WHERE session_id = {} FOR UPDATE", session_id)


async def open_session(
    tx: Transaction,
    user_id: UUID,
    session_id: UUID,
    *,
    network_hash: bytes,
    device: Device,
    second_factor: bool = False,
) -> Next:
    """Open a session for a person who has just proved who they are, with its first refresh token.

    `network_hash` knows the network again, `device` is what its owner is shown; `second_factor`
    says that one was given.
    """
    await tx.run(
        INSERT,
        session_id=session_id,
        user_id=user_id,
        network_hash=network_hash,
        device=device.name,
        subnet=device.network,
        create_time=tx.now,
        expire_time=tx.now + LIFETIME,
        use_time=tx.now,
        proof_time=tx.now,
        second_factor_time=tx.now if second_factor else None,
    )
    first = Next(new_token(), tx.now + IDLE)
    await _store(tx, user_id, session_id, first)
    tx.record("session.opened", session_id)
    return first


async def exchange(
    tx: Transaction, user_id: UUID, session_id: UUID, *, token: str, keyed: KeyedHash
) -> Next | None:
    """Exchange a refresh token for its successor, under `family_lock`.

    None means that the session is over: the caller lets the transaction commit, since a token that
    was used twice has ended it, and refuses.
    """
    row = await tx.one(GET_TOKEN, hash=token_hash(token), session=session_id)
    if row is None or row["end_time"] or row["expire_time"] <= tx.now:
        return None
    if row["spend_time"] is None:
        return await _spend(tx, user_id, session_id, token, keyed, row["session_expire_time"])
    if tx.now - row["spend_time"] <= GRACE:
        repeated = await _find_unspent(tx, session_id, keyed.successors(token))
        if repeated:
            return repeated
    await end(tx, user_id, END_ONE, reason="token_reuse", session=session_id)
    return None


async def end(
    tx: Transaction, user_id: UUID, which: Statement, *, reason: str, **session: UUID
) -> list[UUID]:
    """End sessions of the person (END_ONE, END_OTHERS, END_ALL) and answer which ones."""
    rows = await tx.all(which, user=user_id, now=tx.now, reason=reason, **session)
    for row in rows:
        tx.record(f"session.ended_by_{reason}", row["session_id"])
    return [row["session_id"] for row in rows]


async def _spend(
    tx: Transaction,
    user_id: UUID,
    session_id: UUID,
    token: str,
    keyed: KeyedHash,
    session_expire_time: datetime,
) -> Next:
    successor = Next(keyed.successor(token), min(tx.now + IDLE, session_expire_time))
    await tx.run(SPEND, hash=token_hash(token), now=tx.now)
    await tx.run(TOUCH, session=session_id, now=tx.now)
    await _store(tx, user_id, session_id, successor)
    return successor


async def _find_unspent(
    tx: Transaction, session_id: UUID, candidates: Sequence[str]
) -> Next | None:
    for candidate in candidates:
        row = await tx.one(GET_TOKEN, hash=token_hash(candidate), session=session_id)
        if row and row["spend_time"] is None:
            return Next(candidate, row["expire_time"])
    return None


async def _store(tx: Transaction, user_id: UUID, session_id: UUID, refresh: Next) -> None:
    await tx.run(
        INSERT_TOKEN,
        token_hash=token_hash(refresh.token),
        user_id=user_id,
        session_id=session_id,
        create_time=tx.now,
        expire_time=refresh.expire_time,
    )
