"""Sign-ins whose password was right and whose second factor is still asked for."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import (
    TIMESTAMP,
    Boolean,
    LargeBinary,
    Text,
    Uuid,
    bindparam,
    column,
    delete,
    exists,
    func,
    insert,
    select,
)

from server.auth.keyed import new_token, token_hash
from server.auth.models import Credential, PendingSignIn
from server.auth.sessions import Next
from server.core.db import Transaction, sql

LIFETIME = timedelta(minutes=5)

FIND = sql(
    select("*").select_from(
        func.find_pending_sign_in(
            bindparam("token_hash", type_=LargeBinary),
            bindparam("now", type_=TIMESTAMP(timezone=True)),
        ).table_valued(
            column("user_id", Uuid),
            column("role", Text),
            column("network_hash", LargeBinary),
            column("known_network", Boolean),
        )
    )
)
INSERT = sql(
    insert(PendingSignIn).values(
        {
            name: bindparam(name)
            for name in (
                *("token_hash", "user_id", "network_hash", "known_network"),
                *("create_time", "expire_time"),
            )
        }
    )
)
# A password that was changed in between makes the one that was given worthless.
TAKE = sql(
    delete(PendingSignIn)
    .where(
        PendingSignIn.token_hash == bindparam("hash"),
        PendingSignIn.expire_time > bindparam("now"),
        exists().where(
            Credential.user_id == PendingSignIn.user_id,
            Credential.change_time <= PendingSignIn.create_time,
        ),
    )
    .returning(PendingSignIn.user_id)
)


async def begin(
    tx: Transaction, user_id: UUID, *, network_hash: bytes, known_network: bool
) -> Next:
    """Keep that the password was right for five minutes; answer the token that goes on."""
    made = Next(new_token(), tx.now + LIFETIME)
    await tx.run(
        INSERT,
        token_hash=token_hash(made.token),
        user_id=user_id,
        network_hash=network_hash,
        known_network=known_network,
        create_time=tx.now,
        expire_time=made.expire_time,
    )
    tx.record("sign_in.second_factor_asked", user_id)
    return made


async def take(tx: Transaction, token: str) -> bool:
    """Use the token up; False when it cannot be used any more."""
    return await tx.one(TAKE, hash=token_hash(token), now=tx.now) is not None
