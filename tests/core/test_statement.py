"""Every column type goes through a compiled statement and comes back the same."""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import ARRAY, Uuid, any_, bindparam, cast, column, insert, literal, select, table
from sqlalchemy.orm import Mapped, mapped_column

from server.core.db import Database
from server.core.schema import Base, Idempotency
from server.core.statement import sql

VALUES: list[tuple[Any, Any]] = [
    (UUID, uuid4()),
    (str, "Ünïcode ' \" \\ $1"),
    (int, -(2**31)),
    (bytes, b"\x00\xff"),
    (Decimal, Decimal("1234567.125")),
    (datetime, datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),
    (date, date(2026, 2, 28)),
    (time, time(23, 59)),
    (dict[str, Any], {"a": [1, None, {"b": "ü"}]}),
    (list[str], ["a", "b,c", ""]),
    (list[int], [1, -2]),
    (list[UUID], [uuid4()]),
]


@pytest.mark.parametrize(("kind", "value"), VALUES, ids=[str(kind) for kind, _ in VALUES])
async def test_a_value_of_every_column_type_survives_the_round_trip(
    db: Database, kind: Any, value: Any
) -> None:
    type_ = Base.type_annotation_map[kind]
    statement = sql(select(cast(bindparam("value", type_=type_), type_).label("value")))
    row = await db.one(statement, value=value)
    assert row is not None
    assert row["value"] == value


async def test_values_written_in_place_and_named_ones_mix(db: Database) -> None:
    statement = sql(
        select(literal("fixed").label("fixed"), cast(bindparam("named"), Uuid).label("named"))
    )
    named = uuid4()
    row = await db.one(statement, named=named)
    assert row is not None
    assert (row["fixed"], row["named"]) == ("fixed", named)


async def test_any_of_an_array_stands_in_for_in(db: Database) -> None:
    found = table("idempotency", column("user_id", Uuid))
    statement = sql(
        select(found.c.user_id).where(found.c.user_id == any_(bindparam("ids", type_=ARRAY(Uuid))))
    )
    assert await db.all(statement, ids=[uuid4(), uuid4()]) == []


def test_a_statement_with_in_is_refused_at_import() -> None:
    with pytest.raises(TypeError, match="post_compile_params"):
        sql(select(Idempotency.key).where(Idempotency.key.in_([uuid4()])))


def test_a_statement_with_a_python_default_is_refused_at_import() -> None:
    class Defaulted(Base):
        __tablename__ = "defaulted"
        defaulted_id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
        name: Mapped[str]

    try:
        with pytest.raises(TypeError, match="insert_prefetch"):
            sql(insert(Defaulted).values(name="x"))
    finally:
        Base.metadata.remove(Base.metadata.tables["defaulted"])


def test_a_missing_or_unknown_parameter_is_refused() -> None:
    statement = sql(select(Idempotency.key).where(Idempotency.key == bindparam("wanted")))
    with pytest.raises(KeyError, match="wanted"):
        statement.arguments({})
    with pytest.raises(TypeError, match="unknown"):
        statement.arguments({"wanted": uuid4(), "other": 1})
