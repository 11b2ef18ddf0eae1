"""Reading the audit: all of it, a clinic's, or what others did with somebody's data."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
from sqlalchemy import (
    TIMESTAMP,
    ColumnElement,
    Integer,
    Text,
    Uuid,
    any_,
    bindparam,
    column,
    func,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY

from server.core.access import Caller
from server.core.db import Database, Reader, Transaction, sql
from server.core.errors import NotFound
from server.core.schema import Audit
from server.core.statement import Statement
from server.directory import queries as directory

PART = 500
Keyset = tuple[datetime, UUID]

_INSTANT = TIMESTAMP(timezone=True)
_PLACE = (Audit.create_time, Audit.audit_id)
_AFTER = tuple_(bindparam("after_time", type_=_INSTANT), bindparam("after_id", type_=Uuid))
_CONDITIONS: Mapping[str, ColumnElement[bool]] = {
    "actor": Audit.actor_id == bindparam("actor"),
    "clinic": Audit.clinic_id == bindparam("clinic"),
    "act": Audit.action == bindparam("act"),
    "kind": func.split_part(Audit.action, ".", 1) == bindparam("kind", type_=Text),
    "thing": Audit.subject_id == bindparam("thing"),
    "since": Audit.create_time >= bindparam("since"),
    "until": Audit.create_time < bindparam("until"),
    "request": Audit.request_id == bindparam("request"),
}
_IS_OWNER = sql(
    select((bindparam("clinic", type_=Uuid) == any_(func.app_owned_clinics())).label("owns"))
)


class Filter(NamedTuple):
    """Which entries; None leaves none out."""

    actor: UUID | None = None
    clinic: UUID | None = None
    act: str | None = None
    kind: str | None = None
    thing: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    request: str | None = None

    def given(self) -> dict[str, Any]:
        """Answer the conditions that are set."""
        return {name: value for name, value in self._asdict().items() if value is not None}


@cache
def _page(names: frozenset[str], *, latest: bool, later_page: bool) -> Statement:
    # Only what is asked for is in the statement, so that an index can serve it.
    query = select(Audit).where(*(_CONDITIONS[name] for name in sorted(names)))
    if later_page:
        place = tuple_(*_PLACE)
        query = query.where(place < _AFTER if latest else place > _AFTER)
    ordered = query.order_by(*(part.desc() if latest else part.asc() for part in _PLACE))
    return sql(ordered.limit(bindparam("size", type_=Integer)))


async def entries(
    reader: Reader, wanted: Filter, *, latest: bool = True, after: Keyset | None, size: int
) -> list[asyncpg.Record]:
    """Read up to `size` entries of those that the caller may see; the latest or earliest first."""
    given = wanted.given()
    statement = _page(frozenset(given), latest=latest, later_page=after is not None)
    return await reader.all(statement, **given, **_keyset(after), size=size)


async def export(
    database: Database, caller: Caller, wanted: Filter
) -> AsyncGenerator[list[asyncpg.Record], None]:
    """Read all entries of a filter up to now, the earliest first, and write down that it was done.

    Each part is read in a transaction of its own, so that none is open while a client is slow.
    """
    async with database.transaction(caller) as tx:
        tx.record("audit.exported", caller.actor_id or tx.user_id)
        wanted = wanted._replace(until=wanted.until or tx.now)
    after: Keyset | None = None
    rows: Sequence[asyncpg.Record] = ()
    while after is None or len(rows) == PART:
        async with database.transaction(caller) as tx:
            rows = await entries(tx, wanted, latest=False, after=after, size=PART)
        if not rows:
            return
        yield rows
        after = rows[-1]["create_time"], rows[-1]["audit_id"]


async def check_owner(tx: Transaction, clinic_id: UUID) -> None:
    """Raise NotFound unless the caller owns the clinic."""
    row = await tx.one(_IS_OWNER, clinic=clinic_id)
    if row is None or not row["owns"]:
        raise NotFound("There is no such clinic of yours.")


_own = func.own_access(
    bindparam("after_time", None, type_=_INSTANT),
    bindparam("after_id", None, type_=Uuid),
    bindparam("size", type_=Integer),
).table_valued(
    column("audit_id", Uuid),
    column("create_time", _INSTANT),
    column("actor_id", Uuid),
    column("action", Text),
    column("subject_id", Uuid),
    column("clinic_id", Uuid),
    column("fields", ARRAY(Text)),
    column("patient_ids", ARRAY(Uuid)),
    name="own_access",
)
_doctor, _clinic = directory.doctor_names(), directory.clinic_names()
_ACCESS = sql(
    select(*_own.c, _doctor.c.doctor_name, _clinic.c.clinic_name)
    .join_from(_own, _doctor, _doctor.c.doctor_id == _own.c.actor_id, isouter=True)
    .join(_clinic, _clinic.c.clinic_id == _own.c.clinic_id, isouter=True)
    .order_by(_own.c.create_time.desc(), _own.c.audit_id.desc())
)


async def own_access(tx: Transaction, *, after: Keyset | None, size: int) -> list[asyncpg.Record]:
    """Read up to `size` acts on data of the caller and their dependants, the latest first."""
    return await tx.all(_ACCESS, **_keyset(after), size=size)


def _keyset(after: Keyset | None) -> dict[str, Any]:
    return {"after_time": after[0], "after_id": after[1]} if after else {}
