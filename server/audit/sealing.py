"""The sealer: chains rows that have no seal yet, about once a second.

It takes *unsealed* rows and never those behind the last one: a transaction that began early may
commit late. Any number of sealers run at once: each takes rows of its own, and goes on from the
head of a chain while it holds its lock.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import (
    BigInteger,
    Integer,
    LargeBinary,
    TableValuedAlias,
    Uuid,
    any_,
    bindparam,
    column,
    func,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert

from server.audit.chain import SELECTED, chain_of, seal_of
from server.audit.models import AuditHead
from server.core.db import Database, Transaction, sql
from server.core.jobs import Job
from server.core.schema import Audit

BATCH = 2000
INTERVAL_SECONDS = 1.0


def _given(**types: Any) -> TableValuedAlias:
    """Make a table of parameters that are lists, one for each column."""
    lists = (bindparam(f"{name}s", type_=ARRAY(type_)) for name, type_ in types.items())
    columns = (column(name, type_) for name, type_ in types.items())
    return func.unnest(*lists).table_valued(*columns, name="given").render_derived()


_ROW = _given(id=Uuid, number=BigInteger, seal=LargeBinary)
TAKE = sql(
    select(*SELECTED)
    .where(Audit.seal_number.is_(None))
    .order_by(Audit.create_time, Audit.audit_id)
    .limit(bindparam("size", type_=Integer))
    .with_for_update(skip_locked=True)
)
SEAL = sql(
    update(Audit)
    .where(Audit.audit_id == _ROW.c.id)
    .values(seal_number=_ROW.c.number, seal=_ROW.c.seal)
)
BEGIN_CHAINS = sql(
    insert(AuditHead)
    .from_select(["chain_id"], select(func.unnest(bindparam("chains", type_=ARRAY(Uuid)))))
    .on_conflict_do_nothing()
)
LOCK_HEADS = sql(
    select(AuditHead.chain_id, AuditHead.last_number, AuditHead.last_seal)
    .where(AuditHead.chain_id == any_(bindparam("chains", type_=ARRAY(Uuid))))
    .order_by(AuditHead.chain_id)
    .with_for_update()
)
MOVE_HEADS = sql(
    update(AuditHead)
    .where(AuditHead.chain_id == _ROW.c.id)
    .values(last_number=_ROW.c.number, last_seal=_ROW.c.seal)
)

Head = tuple[int, bytes]


async def seal(database: Database, size: int = BATCH) -> bool:
    """Seal a batch; True when more are left."""
    async with database.transaction() as tx:
        rows = await tx.all(TAKE, size=size)
        if rows:
            await _seal(tx, rows)
    return len(rows) == size


async def _seal(tx: Transaction, rows: Sequence[asyncpg.Record]) -> None:
    heads = await _heads(tx, sorted({chain_of(row) for row in rows}))
    places: list[Head] = []
    for row in rows:
        number, before = heads[chain_of(row)]
        place = number + 1, seal_of(before, number + 1, row)
        heads[chain_of(row)] = place
        places.append(place)
    sealed = await tx.run(SEAL, **_columns([row["audit_id"] for row in rows], places))
    if sealed != len(rows):
        raise RuntimeError("rows that were locked are not there")
    await tx.run(MOVE_HEADS, **_columns(list(heads), list(heads.values())))


async def _heads(tx: Transaction, chains: Sequence[UUID]) -> dict[UUID, Head]:
    """Lock the heads of chains, in order of their ids; new ones begin here."""
    await tx.run(BEGIN_CHAINS, chains=chains)
    rows = await tx.all(LOCK_HEADS, chains=chains)
    return {row["chain_id"]: (row["last_number"], row["last_seal"]) for row in rows}


def _columns(ids: Sequence[UUID], places: Sequence[Head]) -> dict[str, Any]:
    numbers, seals = zip(*places, strict=True)
    return {"ids": ids, "numbers": numbers, "seals": seals}


JOBS = (Job("audit_seal", INTERVAL_SECONDS, seal),)
