"""Walking the chains: whether every row is what was sealed, and which is the first that is not."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
from sqlalchemy import BigInteger, Integer, Uuid, bindparam, func, select, tuple_

from server.audit.chain import PLATFORM, SELECTED, START, chain_of, seal_of
from server.audit.models import AuditHead
from server.core.db import Database, sql
from server.core.schema import Audit

PAGE = 2000
LAST = UUID(int=2**128 - 1)

_SEALED = select(*SELECTED, Audit.seal_number, Audit.seal).where(Audit.seal_number.is_not(None))
_KEY = (Audit.seal_number, Audit.audit_id)
_AFTER = (bindparam("number", type_=BigInteger), bindparam("id", type_=Uuid))
_OF_PLATFORM = sql(
    _SEALED.where(Audit.clinic_id.is_(None), tuple_(*_KEY) > tuple_(*_AFTER))
    .order_by(*_KEY)
    .limit(bindparam("size", type_=Integer))
)
_OF_CLINICS = sql(
    _SEALED.where(
        tuple_(Audit.clinic_id, *_KEY) > tuple_(bindparam("clinic", type_=Uuid), *_AFTER),
        Audit.clinic_id <= bindparam("until", type_=Uuid),
    )
    .order_by(Audit.clinic_id, *_KEY)
    .limit(bindparam("size", type_=Integer))
)
_HEADS = sql(select(AuditHead))
_HEAD = sql(select(AuditHead).where(AuditHead.chain_id == bindparam("chain")))
_TAIL = sql(
    select(func.count().label("rows"), func.min(Audit.create_time).label("since")).where(
        Audit.seal_number.is_(None)
    )
)


class Fault(NamedTuple):
    """The first thing that is wrong with a chain; `row` is the one found there, if there is one."""

    chain_id: UUID
    number: int
    what: str
    row: asyncpg.Record | None = None


class Copy(NamedTuple):
    """A head as it was copied outside."""

    chain_id: UUID
    number: int
    seal: bytes


@dataclass(slots=True)
class Report:
    """What was found; `unsealed` rows are no fault, but nothing vouches for them yet."""

    chains: int = 0
    rows: int = 0
    unsealed: int = 0
    unsealed_since: datetime | None = None
    faults: list[Fault] = field(default_factory=list)


class _Chain:
    """A chain while it is walked, up to its first fault; `head` is as it was before the walk."""

    def __init__(
        self, chain_id: UUID, head: asyncpg.Record | None, copies: Mapping[int, bytes]
    ) -> None:
        self.chain_id = chain_id
        self.number, self.seal = 0, START
        self.fault: Fault | None = None
        self._head = {head["last_number"]: head["last_seal"]} if head else {}
        self._copies = copies

    def take(self, row: asyncpg.Record) -> None:
        """Look at the next row."""
        if self.fault:
            return
        number, seal = row["seal_number"], row["seal"]
        if number > self.number + 1:
            self._is_at_fault(self.number + 1, "is missing; this one follows the gap:", row)
        elif number <= self.number:
            self._is_at_fault(number, "is there twice:", row)
        elif seal_of(self.seal, number, row) != seal:
            self._is_at_fault(number, "is not what was sealed:", row)
        elif self._copies.get(number, seal) != seal:
            self._is_at_fault(number, "is not what the copy outside says:", row)
        elif self._head.get(number, seal) != seal:
            self._is_at_fault(number, "is not what the head of the chain says:", row)
        self.number, self.seal = number, seal

    def end(self, newest: asyncpg.Record | None) -> None:
        """Compare the end with the heads, of which `newest` is that of now."""
        if self.fault:
            return
        if self.number < max((0, *self._head, *self._copies)):
            self._is_at_fault(self.number + 1, "is missing, and all behind it")
        elif self.number > (newest["last_number"] if newest else 0):
            self._is_at_fault(self.number, "is behind the head of the chain")

    def _is_at_fault(self, number: int, what: str, row: asyncpg.Record | None = None) -> None:
        self.fault = Fault(self.chain_id, number, what, row)


async def verify(
    database: Database, copies: Sequence[Copy] = (), *, only: UUID | None = None
) -> Report:
    """Walk every chain, or `only` one; more may be sealed meanwhile."""
    report = Report()
    outside: dict[UUID, dict[int, bytes]] = {}
    for copy in copies:
        if only in {None, copy.chain_id}:
            outside.setdefault(copy.chain_id, {})[copy.number] = copy.seal
    heads = await _heads(database, only)
    pending = {
        chain_id: _Chain(chain_id, heads.get(chain_id), outside.get(chain_id, {}))
        for chain_id in sorted(heads.keys() | outside.keys())
    }
    chain: _Chain | None = None
    async for row in _rows(database, only):
        if chain is None or chain.chain_id != chain_of(row):
            await _end(database, report, chain)
            chain_id = chain_of(row)
            chain = pending.pop(chain_id, None) or _Chain(chain_id, None, {})
        chain.take(row)
        report.rows += 1
    for ended in (chain, *pending.values()):
        await _end(database, report, ended)
    await _note_tail(database, report)
    return report


async def _heads(database: Database, only: UUID | None) -> dict[UUID, asyncpg.Record]:
    async with database.transaction() as tx:
        rows = await tx.all(_HEADS)
    return {row["chain_id"]: row for row in rows if only in {None, row["chain_id"]}}


async def _end(database: Database, report: Report, chain: _Chain | None) -> None:
    if chain is None:
        return
    async with database.transaction() as tx:  # it may have gone on while we walked
        chain.end(await tx.one(_HEAD, chain=chain.chain_id))
    report.chains += 1
    if chain.fault:
        report.faults.append(chain.fault)


async def _rows(database: Database, only: UUID | None) -> AsyncIterator[asyncpg.Record]:
    """Read the sealed rows, chain by chain, in order; a page a transaction."""
    after: dict[str, Any] = {"number": -1, "id": PLATFORM}
    if only in {None, PLATFORM}:
        async for row in _pages(database, _OF_PLATFORM, after):
            yield row
    if only != PLATFORM:
        after |= {"clinic": only or PLATFORM, "until": only or LAST}
        async for row in _pages(database, _OF_CLINICS, after):
            yield row


async def _pages(
    database: Database, statement: Any, after: dict[str, Any]
) -> AsyncIterator[asyncpg.Record]:
    full = True
    while full:
        async with database.transaction() as tx:
            rows = await tx.all(statement, **after, size=PAGE)
        for row in rows:
            yield row
        full = len(rows) == PAGE
        if full:
            last = rows[-1]
            place = {"number": last["seal_number"], "id": last["audit_id"]}
            after = after | place | ({"clinic": last["clinic_id"]} if "clinic" in after else {})


async def _note_tail(database: Database, report: Report) -> None:
    async with database.transaction() as tx:
        tail = await tx.one(_TAIL)
    if tail is not None:
        report.unsealed, report.unsealed_since = tail["rows"], tail["since"]
