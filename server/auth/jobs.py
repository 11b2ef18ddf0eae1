"""Background work on sessions."""

from sqlalchemy import any_, bindparam, delete, func, select

from server.auth.models import PendingSignIn, RefreshToken, Session
from server.core.db import Database, sql
from server.core.jobs import Job

BATCH = 1000
INTERVAL_SECONDS = 600.0

DELETE_TOKENS = sql(
    delete(RefreshToken).where(
        RefreshToken.token_hash
        == any_(
            func.array(
                select(RefreshToken.token_hash)
                .where(RefreshToken.expire_time < bindparam("now"))
                .limit(BATCH)
                .scalar_subquery()
            )
        )
    )
)
DELETE_SESSIONS = sql(
    delete(Session).where(
        Session.session_id
        == any_(
            func.array(
                select(Session.session_id)
                .where(Session.expire_time < bindparam("now"))
                .limit(BATCH)
                .scalar_subquery()
            )
        )
    )
)
DELETE_PENDING = sql(delete(PendingSignIn).where(PendingSignIn.expire_time < bindparam("now")))


async def forget_expired(database: Database) -> bool:
    """Delete tokens and sessions that nobody can use any more; True when more are left.

    A session is kept for its whole lifetime after it ended: its network stays known, and a stolen
    token of it is still recognised as stolen.
    """
    async with database.transaction() as tx:
        await tx.run(DELETE_PENDING, now=tx.now)
        deleted = await tx.run(DELETE_TOKENS, now=tx.now), await tx.run(DELETE_SESSIONS, now=tx.now)
    return max(deleted) >= BATCH


JOBS = (Job("forget_expired_sessions", INTERVAL_SECONDS, forget_expired),)
