"""What a person sees of their sessions, and how one of them shows that they are still there."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from asyncpg import Record
from sqlalchemy import TIMESTAMP, Uuid, bindparam, func, or_, select, tuple_, update

from server.auth import sessions
from server.auth.models import Session
from server.core.db import Transaction, sql
from server.core.errors import FailedPrecondition, NotFound, Unauthenticated

FRESH = timedelta(minutes=10)
"""How long a proof counts for changes of how somebody signs in."""

_after = tuple_(
    bindparam("after_time", type_=TIMESTAMP(timezone=True)), bindparam("after_id", type_=Uuid)
)
LIST = sql(
    select(
        Session.session_id,
        Session.device,
        Session.subnet,
        Session.create_time,
        func.coalesce(Session.use_time, Session.create_time).label("use_time"),
        Session.expire_time,
    )
    .where(
        Session.user_id == bindparam("user"),
        Session.end_time.is_(None),
        Session.expire_time > bindparam("now"),
        or_(
            bindparam("first_page"),
            tuple_(Session.create_time, Session.session_id) < _after,
        ),
    )
    .order_by(Session.create_time.desc(), Session.session_id.desc())
    .limit(bindparam("size"))
)
EXISTS = sql(
    select(Session.session_id).where(
        Session.user_id == bindparam("user"), Session.session_id == bindparam("session")
    )
)
PROVE = sql(
    update(Session)
    .where(Session.session_id == bindparam("session"), Session.end_time.is_(None))
    .values(proof_time=bindparam("now"))
)
PROVE_FACTOR = sql(
    update(Session)
    .where(Session.session_id == bindparam("session"), Session.end_time.is_(None))
    .values(proof_time=bindparam("now"), second_factor_time=bindparam("now"))
)
GET_PROOF = sql(select(Session.proof_time).where(Session.session_id == bindparam("session")))


class ReauthenticationRequired(FailedPrecondition):
    """The last proof of the session is too old for this change."""

    reason = "REAUTHENTICATION_REQUIRED"
    text = "Confirm that it is you, then try again."


async def find(tx: Transaction, *, after: tuple[Any, ...] | None, size: int) -> list[Record]:
    """Answer the caller's live sessions, the newest first."""
    time, session_id = after or (None, None)
    return await tx.all(
        LIST, user=tx.user_id, now=tx.now, first_page=after is None,
        after_time=time, after_id=session_id, size=size,
    )  # fmt: skip


async def revoke(tx: Transaction, session_id: UUID) -> list[UUID]:
    """End one session of the caller; NotFound when it is not theirs."""
    if not await tx.one(EXISTS, user=tx.user_id, session=session_id):
        raise NotFound
    return await sessions.end(
        tx, tx.user_id, sessions.END_ONE, reason="revocation", session=session_id
    )


async def prove(tx: Transaction, *, second_factor: bool = False) -> datetime:
    """Note that the caller has just proved who they are; answer until when that counts."""
    session_id = _session_id(tx)
    await tx.run(PROVE_FACTOR if second_factor else PROVE, session=session_id, now=tx.now)
    tx.record("session.proved", session_id)
    return tx.now + FRESH


async def require_proof(tx: Transaction) -> None:
    """Refuse unless the caller has proved who they are in this session within ten minutes."""
    row = await tx.one(GET_PROOF, session=_session_id(tx))
    if row is None or row["proof_time"] is None or row["proof_time"] <= tx.now - FRESH:
        raise ReauthenticationRequired


def _session_id(tx: Transaction) -> UUID:
    if tx.caller.session_id is None:
        raise Unauthenticated
    return tx.caller.session_id
