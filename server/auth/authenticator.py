"""From the token of a call to its caller."""

from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import TIMESTAMP, Boolean, Text, Uuid, bindparam, column, func, select

from server.auth.tokens import AccessToken, InvalidToken, KeyToken, Tokens
from server.core.access import Caller, Key
from server.core.db import Database, sql

TRUSTED_FOR = timedelta(seconds=10)
"""How long a session is taken as alive after it was looked up.

An open stream is checked every 50 seconds at most, and both together stay within 60.
"""
MAX_REMEMBERED = 10_000

Said = AccessToken | KeyToken
CheckKey = Callable[[KeyToken], Awaitable[None]]
"""Refuses, by raising, a token whose key may not be used any more."""

_SESSIONS = func.find_session(
    bindparam("session_id", type_=Uuid),
    bindparam("user_id", type_=Uuid),
    bindparam("now", type_=TIMESTAMP(timezone=True)),
).table_valued(column("role", Text), column("needs_factor", Boolean))
FIND_SESSION = sql(select(_SESSIONS.c.role, _SESSIONS.c.needs_factor))


class SessionOver(InvalidToken):
    """The token is right, but its session has ended or its user may not use the platform."""

    text = "The session has ended; sign in again."


async def refuse_keys(_: KeyToken) -> None:
    """Let no key in."""
    raise InvalidToken


class Authenticator:
    """Tells who calls: verifies the token, and that its session lives and its user is active.

    What a token of a key needs besides is `check_key`'s to say.

    What was verified is remembered for 10 seconds, so most calls cost neither a signature check
    nor a query. With `second_factor`, those who need one and have not given it are marked.
    """

    def __init__(
        self,
        db: Database,
        tokens: Tokens,
        *,
        second_factor: bool = False,
        check_key: CheckKey = refuse_keys,
        remembered: int = MAX_REMEMBERED,
    ) -> None:
        self._db = db
        self._tokens = tokens
        self._second_factor = second_factor
        self._check_key = check_key
        self._size = remembered
        self._remembered: dict[str, tuple[Said, bool, datetime]] = {}

    async def __call__(self, token: str) -> Caller:
        """Answer the caller; raise InvalidToken, SessionOver or TokenExpired."""
        said, needs_factor = await self._known(token)
        if isinstance(said, KeyToken):
            return Caller(key=Key(said.key_id, said.scopes, said.clinic_id))
        return Caller(said.user_id, said.role, said.session_id, needs_factor)

    async def verify(self, token: str) -> AccessToken:
        """Answer what the token of a person says, if its session is alive."""
        said, _ = await self._known(token)
        if isinstance(said, KeyToken):
            raise InvalidToken
        return said

    async def _known(self, token: str) -> tuple[Said, bool]:
        now = self._db.clock.now()
        known = self._remembered.get(token)
        if known and now < known[2]:
            return known[:2]
        said = self._tokens.verify(token)
        needs_factor = await self._check(said, now)
        if not needs_factor:  # who adds one goes on at once, in every process
            self._remember(token, (said, False, min(said.expire_time, now + TRUSTED_FOR)))
        return said, needs_factor

    def forget(self, ended_ids: Iterable[UUID]) -> None:
        """Look sessions or keys up again at their next call; other processes do within 10 s."""
        ended = set(ended_ids)
        for token, (said, *_) in list(self._remembered.items()):
            if (said.key_id if isinstance(said, KeyToken) else said.session_id) in ended:
                del self._remembered[token]

    async def _check(self, said: Said, now: datetime) -> bool:
        """Make sure that the token may still be used; tell whether a second factor is missing."""
        if isinstance(said, KeyToken):
            await self._check_key(said)
            return False
        return await self._check_session(said, now)

    async def _check_session(self, said: AccessToken, now: datetime) -> bool:
        """Make sure that the session lives; tell whether its second factor is missing."""
        row = await self._db.one(
            FIND_SESSION, session_id=said.session_id, user_id=said.user_id, now=now
        )
        if row is None or row["role"] != said.role:
            raise SessionOver
        return self._second_factor and bool(row["needs_factor"])

    def _remember(self, token: str, known: tuple[Said, bool, datetime]) -> None:
        self._remembered.pop(token, None)
        while len(self._remembered) >= self._size:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[token] = known
