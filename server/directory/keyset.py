"""Statements that read one page after a known row; a page begins where the last one ended."""

from collections.abc import Sequence
from typing import Any

from asyncpg import Record
from sqlalchemy import ColumnElement, Integer, Select, bindparam, tuple_

from server.core.db import Reader, sql


class Listing:
    """`query` in ascending order of `columns`, of which the last one is unique."""

    def __init__(self, query: Select[*tuple[Any, ...]], *columns: Any) -> None:
        ordered = query.order_by(*columns).limit(bindparam("limit", type_=Integer))
        self._names = tuple(f"after_{number}" for number in range(len(columns)))
        self._first = sql(ordered)
        self._next = sql(ordered.where(self._later(columns)))

    def _later(self, columns: Sequence[Any]) -> ColumnElement[bool]:
        last = zip(self._names, columns, strict=True)
        return tuple_(*columns) > tuple_(*(bindparam(name, type_=c.type) for name, c in last))

    async def page(
        self, reader: Reader, *, after: Sequence[Any] | None, limit: int, **values: Any
    ) -> list[Record]:
        """Answer up to `limit` rows behind the row with the values `after`; None starts."""
        if not after:
            return await reader.all(self._first, limit=limit, **values)
        last = dict(zip(self._names, after, strict=True))
        return await reader.all(self._next, limit=limit, **last, **values)
