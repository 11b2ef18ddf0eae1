"""Background work on second factors."""

from sqlalchemy import bindparam, delete

from server.core.db import Database, sql
from server.core.jobs import Job
from server.factor.models import FactorChallenge

INTERVAL_SECONDS = 600.0
DELETE_CHALLENGES = sql(
    delete(FactorChallenge).where(FactorChallenge.expire_time < bindparam("now"))
)


async def forget_challenges(database: Database) -> bool:
    """Delete what passkeys may not be asked to sign any more."""
    async with database.transaction() as tx:
        await tx.run(DELETE_CHALLENGES, now=tx.now)
    return False


JOBS = (Job("forget_factor_challenges", INTERVAL_SECONDS, forget_challenges),)
