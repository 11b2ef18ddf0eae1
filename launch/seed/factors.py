"""The second factors of the demo accounts that need one."""

import asyncio
from collections.abc import Sequence
from uuid import uuid5

import asyncpg

from launch.seed.people import DEMO_ACCOUNTS, DEMO_FACTOR_ROLES, DEMO_TOTP_SECRET
from server.factor.sealing import Sealing

FIND = "SELECT user_id FROM user_account WHERE email = ANY ($1)"
# Again at each start: the key that the secret is encrypted with may be another one.
PUT = """
INSERT INTO factor (factor_id, user_id, kind, name, secret, create_time, confirm_time)
VALUES ($1, $2, 'totp', 'Demo', $3, now(), now())
ON CONFLICT (factor_id) DO UPDATE SET secret = excluded.secret
"""


def put(owner_dsn: str, keys: Sequence[bytes]) -> None:
    """Give the demo administrator and clinic owner an authenticator app with a known secret."""
    asyncio.run(_put(owner_dsn, Sealing(keys)))


async def _put(owner_dsn: str, sealing: Sealing) -> None:
    emails = [DEMO_ACCOUNTS[role][2] for role in DEMO_FACTOR_ROLES]
    connection = await asyncpg.connect(owner_dsn)
    try:
        for row in await connection.fetch(FIND, emails):
            user_id = row["user_id"]
            sealed = sealing.seal(user_id, DEMO_TOTP_SECRET.encode())
            await connection.execute(PUT, uuid5(user_id, "demo"), user_id, sealed)
    finally:
        await connection.close()
