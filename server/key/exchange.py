"""Keys as programs use them: exchanged for access tokens, and checked while these are used."""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import (
    TIMESTAMP,
    Boolean,
    LargeBinary,
    Text,
    Uuid,
    bindparam,
    column,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY

from server.auth.tokens import InvalidToken, KeyToken
from server.core.access import Caller, Key
from server.core.db import Database, Transaction, sql
from server.core.errors import PermissionDenied, Unauthenticated
from server.key.secret import SecretHashes, is_well_formed

TOUCHED_EVERY = timedelta(minutes=1)
"""How often it is written down, at most, that a key is used."""

_INSTANT = TIMESTAMP(timezone=True)
_NOTHING = bytes(32)
_KEY, _NOW = bindparam("key", type_=Uuid), bindparam("now", type_=_INSTANT)
FIND_SECRETS = sql(
    select("*").select_from(
        func.find_key_secrets(_KEY, _NOW).table_valued(
            column("secret_id", Uuid),
            column("secret_hash", LargeBinary),
            column("clinic_id", Uuid),
            column("scopes", ARRAY(Text)),
        )
    )
)
FIND_LIVE = sql(
    select("*").select_from(
        func.find_live_key(_KEY, bindparam("secret", type_=Uuid), _NOW).table_valued(
            column("clinic_id", Uuid), column("scopes", ARRAY(Text)), column("use_time", _INSTANT)
        )
    )
)
TOUCH = sql(
    select("*").select_from(
        func.touch_key(_NOW, bindparam("before", type_=_INSTANT)).table_valued(
            column("touched", Boolean)
        )
    )
)


class WrongKey(Unauthenticated):
    """Unknown key, wrong secret or revoked key: nobody is told which."""

    reason = "WRONG_CREDENTIALS"
    text = "The key and the secret do not belong together."


class ScopeNotGranted(PermissionDenied):
    """The token shall have a scope that the key does not have."""

    reason = "SCOPE_MISSING"
    text = "The key does not have one of these scopes."


class KeyOver(InvalidToken):
    """The token is right, but its key was revoked or its secret has ended."""

    text = "The key or its secret is not accepted any more."


class Grant(NamedTuple):
    """What a key and its secret are good for."""

    key_id: UUID
    secret_id: UUID
    clinic_id: UUID | None
    scopes: frozenset[str]

    def narrowed(self, asked: Sequence[str]) -> "Grant":
        """Answer the same with the scopes that are asked for; none means all."""
        if not self.scopes.issuperset(asked):
            raise ScopeNotGranted
        return self._replace(scopes=frozenset(asked)) if asked else self

    @property
    def caller(self) -> Caller:
        return Caller(key=Key(self.key_id, self.scopes, self.clinic_id))


async def find(db: Database, hashes: SecretHashes, key_id: UUID, secret: str) -> Grant:
    """Answer what the key and the secret are good for, or raise WrongKey."""
    if not is_well_formed(secret):
        raise WrongKey
    rows = await db.all(FIND_SECRETS, key=key_id, now=db.clock.now())
    hashes.match(key_id, secret, _NOTHING)  # what an unknown key costs, too
    for row in rows:
        if hashes.match(key_id, secret, row["secret_hash"]):
            return Grant(key_id, row["secret_id"], row["clinic_id"], frozenset(row["scopes"]))
    raise WrongKey


async def touch(tx: Transaction) -> None:
    """Note that the key that calls is used, if that was not noted within the last minute."""
    await tx.one(TOUCH, now=tx.now, before=tx.now - TOUCHED_EVERY)


class LiveKeys:
    """Checks that the key behind a token may still be used, and notes that it is."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def __call__(self, said: KeyToken) -> None:
        """Raise KeyOver unless key and secret live and have what the token says."""
        now = self._db.clock.now()
        row = await self._db.one(FIND_LIVE, key=said.key_id, secret=said.secret_id, now=now)
        if row is None or row["clinic_id"] != said.clinic_id or said.scopes - {*row["scopes"]}:
            raise KeyOver
        if row["use_time"] is None or row["use_time"] <= now - TOUCHED_EVERY:
            key = Key(said.key_id, said.scopes, said.clinic_id)
            async with self._db.transaction(Caller(key=key)) as tx:
                await touch(tx)
