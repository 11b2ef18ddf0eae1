"""Access to PostgreSQL: statements on a pool, and transactions in the name of a caller."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import orjson
from google.protobuf.message import Message

from server.core import call as calls
from server.core.access import ANONYMOUS, Caller
from server.core.clock import Clock
from server.core.errors import (
    AlreadyExists,
    Conflict,
    Error,
    InvalidField,
    Replay,
    Serialization,
    Unauthenticated,
    Unavailable,
)
from server.core.statement import Statement, sql
from server.core.turns import Turns
from server.core.writes import Feed, Once, Writes

__all__ = ["Database", "Feed", "Lock", "RequestIdReused", "Transaction", "refusing", "sql"]

AnyMessage = TypeVar("AnyMessage", bound=Message)
ACQUIRE_SECONDS = 5.0
LOCK_SECONDS = 10
_GONE = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError, TimeoutError)
_STOPPING = (asyncpg.AdminShutdownError, asyncpg.CrashShutdownError, asyncpg.CannotConnectNowError)
# A wait that was cut off by a limit or by hand, and a server that has become a replica.
_GAVE_UP = (asyncpg.QueryCanceledError, asyncpg.ReadOnlySQLTransactionError)
_FULL = (asyncpg.TooManyConnectionsError, asyncpg.OutOfMemoryError, asyncpg.DiskFullError)
_CUT_OFF = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)


class RequestIdReused(InvalidField):
    """The request_id was used before with other contents."""

    reason = "REQUEST_ID_REUSED"


class Lock:
    """Rows locked in the round trip of BEGIN: SQL with `{}` for each id, in the order to lock."""

    def __init__(self, template: str, *ids: UUID) -> None:
        if not all(isinstance(value, UUID) for value in ids):
            raise TypeError("a lock takes UUID objects only: they go into the SQL text")
        self.text = template.format(*(f"'{value}'" for value in ids))
        self.first = ids[0] if ids else None


class _Connection(asyncpg.Connection):
    """A connection that needs no reset, since every setting here is local to a transaction."""

    def get_reset_query(self) -> str:
        return ""


class Reader:
    """What runs statements; `Database` outside a transaction, `Transaction` inside one."""

    async def one(self, statement: Statement, **values: Any) -> asyncpg.Record | None:
        """Answer the first row, or None."""
        raise NotImplementedError

    async def all(self, statement: Statement, **values: Any) -> list[asyncpg.Record]:
        """Answer every row."""
        raise NotImplementedError


class Transaction(Reader):
    """One transaction in the name of `caller`, at the instant `now`."""

    def __init__(
        self, connection: Any, caller: Caller, now: datetime, writes: Writes, once: Once | None
    ) -> None:
        self.caller = caller
        self.now = now
        self.record = writes.record
        self.record_read = writes.record_read
        self._connection = connection
        self._writes = writes
        self._once = once

    @property
    def user_id(self) -> UUID:
        """The signed-in caller's; Unauthenticated when nobody is."""
        if self.caller.user_id is None:
            raise Unauthenticated
        return self.caller.user_id

    async def one(self, statement: Statement, **values: Any) -> asyncpg.Record | None:
        return await self._connection.fetchrow(statement.text, *statement.arguments(values))  # type: ignore[no-any-return]

    async def all(self, statement: Statement, **values: Any) -> list[asyncpg.Record]:
        return await self._connection.fetch(statement.text, *statement.arguments(values))  # type: ignore[no-any-return]

    async def run(self, statement: Statement, **values: Any) -> int:
        """Run it and answer how many rows it touched."""
        status = await self._connection.execute(statement.text, *statement.arguments(values))
        return int(status.rpartition(" ")[2] or 0)

    async def many(self, statement: Statement, rows: Sequence[dict[str, Any]]) -> None:
        """Run it once for each of `rows`, in one round trip."""
        arguments = [statement.arguments(row) for row in rows]
        if arguments:
            await self._connection.executemany(statement.text, arguments)

    def answer(self, response: AnyMessage) -> AnyMessage:
        """Keep `response` for a repeat of the request, and hand it on."""
        if self._once:
            self._writes.answer(self._once, response)
        return response


class Database(Reader):
    """A pool of connections of one role; `connect` opens it."""

    def __init__(self, pool: Any, clock: Clock, size: int = 10) -> None:
        self.clock = clock
        self._pool = pool
        self._turns = Turns(max(1, size - size // 4), LOCK_SECONDS)

    @classmethod
    async def connect(cls, dsn: str, clock: Clock, *, size: int = 10) -> "Database":
        """Open a pool of up to `size` connections; Unavailable when there is no server."""
        with _translated():
            pool = await asyncpg.create_pool(
                dsn,
                min_size=1,
                max_size=size,
                init=_prepare,
                connection_class=_Connection,
                statement_cache_size=1000,
                max_queries=1_000_000_000,  # the default closes connections under load
                server_settings={
                    "timezone": "UTC",
                    "statement_timeout": "30s",
                    # so that one calendar that is stuck does not keep every connection for long
                    "lock_timeout": f"{LOCK_SECONDS}s",
                    "idle_in_transaction_session_timeout": "60s",
                    "application_name": "carelane",
                },
            )
        return cls(pool, clock, size)

    async def close(self) -> None:
        """Wait for running transactions and close every connection."""
        await self._pool.close()

    async def one(self, statement: Statement, **values: Any) -> asyncpg.Record | None:
        async with self._acquired() as connection:
            return await connection.fetchrow(statement.text, *statement.arguments(values))  # type: ignore[no-any-return]

    async def all(self, statement: Statement, **values: Any) -> list[asyncpg.Record]:
        async with self._acquired() as connection:
            return await connection.fetch(statement.text, *statement.arguments(values))  # type: ignore[no-any-return]

    @asynccontextmanager
    async def transaction(
        self,
        caller: Caller = ANONYMOUS,
        *,
        once: Message | None = None,
        lock: Lock | None = None,
        request_id: str | None = None,
    ) -> AsyncIterator[Transaction]:
        """Run the block in one transaction, committed when it ends without an exception.

        With `once`, a request message with a request_id, its record is written first: a racing
        repeat waits for it, then gets the stored answer (Replay), or REQUEST_ID_REUSED when the
        contents differ. The block must then end in `tx.answer(...)`. Audit rows carry `request_id`,
        the current call's if it is not given. Who waits long for `lock` gets Conflict.
        """
        identity = Once.of(once) if once is not None and caller.user_id else None
        turn = self._turns.turn(lock.first) if lock else nullcontext()
        async with turn, self._acquired() as connection:
            try:
                status = await connection.execute(self._begin(caller, lock, identity))
                if identity and status == "INSERT 0 0":
                    raise await _replay(connection, caller, identity)
                writes = Writes(request_id or calls.request_id() or None)
                tx = Transaction(connection, caller, self.clock.now(), writes, identity)
                yield tx
                if identity and not writes.answered:
                    raise TypeError("a transaction with `once` must end in tx.answer(...)")
                await connection.execute(";".join(filter(None, (writes.flush(), self._END))))
            except BaseException:
                await self._undo(connection)
                raise

    _START, _END, _UNDO = "BEGIN", "COMMIT", "ROLLBACK"

    def _begin(self, caller: Caller, lock: Lock | None, once: Once | None) -> str:
        """Write BEGIN, the caller for row-level security, the locks and the request's record."""
        parts = [self._START, _settings(caller, self.clock.offset)]
        if lock:
            parts.append(lock.text)
        if once:
            parts.append(
                "INSERT INTO idempotency (user_id, key, request_hash) VALUES "  # noqa: S608 - UUIDs
                f"('{caller.user_id}', '{once.key}', '{once.contents}') ON CONFLICT DO NOTHING"
            )
        return ";".join(parts)

    async def _undo(self, connection: Any) -> None:
        """Roll back; a connection that is lost is not waited for, nor does it hide what failed."""
        with suppress(*_GONE, *_STOPPING, asyncpg.InternalClientError):
            await connection.execute(self._UNDO)

    @asynccontextmanager
    async def _acquired(self) -> AsyncIterator[Any]:
        with _translated():
            async with self._pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
                with _loss_noticed(connection):
                    yield connection


@contextmanager
def refusing(**refusals: type[Error]) -> Iterator[None]:
    """Turn the violation of a named constraint into the domain's error.

    `with refusing(claim_overlap=SlotTaken): ...`
    """
    try:
        yield
    except asyncpg.IntegrityConstraintViolationError as violation:
        refusal = refusals.get(violation.constraint_name or "")
        if refusal is None:
            raise
        raise refusal() from None


@contextmanager
def _translated() -> Iterator[None]:
    """Tell the guard what to try again, and the caller that the database is not there."""
    try:
        yield
    except _CUT_OFF as error:
        raise Serialization from error
    except asyncpg.LockNotAvailableError as error:
        raise Conflict(retry_after=1) from error
    except (*_GONE, *_STOPPING, *_GAVE_UP, *_FULL) as error:
        raise Unavailable(retry_after=1) from error


@contextmanager
def _loss_noticed(connection: Any) -> Iterator[None]:
    """Tell a connection that the server ended while it was idle from a defect.

    asyncpg learns of the end when it uses the connection, and calls that an internal error.
    """
    try:
        yield
    except asyncpg.InternalClientError as error:
        if not connection.is_closed():
            raise
        raise Unavailable(retry_after=1) from error


async def _prepare(connection: Any) -> None:
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=str, decoder=orjson.loads)


async def _replay(connection: Any, caller: Caller, once: Once) -> Exception:
    row = await connection.fetchrow(
        "SELECT request_hash, response FROM idempotency WHERE user_id = $1 AND key = $2",
        caller.user_id,
        once.key,
    )
    if row["request_hash"] != once.contents:
        return RequestIdReused("request_id", "was used before with other contents")
    if row["response"] is None:
        return AlreadyExists("The request was answered before, and its answer is not kept.")
    return Replay(row["response"])


def _settings(caller: Caller, offset: timedelta) -> str:
    """Write the settings that policies read; local to the transaction, UUIDs and a number only."""
    user = str(caller.user_id) if isinstance(caller.user_id, UUID) else ""
    admin = user if caller.role == "admin" else ""
    key = caller.key.key_id if caller.key and isinstance(caller.key.key_id, UUID) else None
    micros = offset // timedelta(microseconds=1)
    return (
        f"SELECT set_config('app.user', '{user}', true), set_config('app.admin', '{admin}', true)"
        + (f", set_config('app.key', '{key}', true)" if key else "")
        + (f", set_config('app.clock_offset', '{micros} microseconds', true)" if micros else "")
    )
