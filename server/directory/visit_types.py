"""The kinds of visit that a practice offers, and how each is booked."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from asyncpg import Record
from sqlalchemy import ColumnElement, any_, bindparam, func, insert, or_, select, update

from server.core.db import Feed, Lock, Transaction, sql
from server.core.errors import NotFound
from server.directory.clinics import check_price
from server.directory.keyset import Listing
from server.directory.models import Clinic, Practice, VisitType

_RULES = (
    "name",
    "length_minutes",
    "buffer_before_minutes",
    "buffer_after_minutes",
    "interval_minutes",
    "offset_minutes",
    "from_opening",
    "notice_minutes",
    "horizon_days",
    "business_days",
    "capacity",
    "day_visits",
    "day_minutes",
    "week_visits",
    "week_minutes",
    "price",
    "follow_up_days",
    "follow_up_price",
    "is_default",
    "retired",
)


_UNTOLD = {"name", "price", "follow_up_days", "follow_up_price"}


@dataclass(frozen=True, slots=True)
class Rules:
    """How a kind of visit is booked, as the columns of `VisitType` are; a limit of None is none."""

    name: str
    length_minutes: int
    buffer_before_minutes: int
    buffer_after_minutes: int
    interval_minutes: int
    offset_minutes: int
    from_opening: bool
    notice_minutes: int
    horizon_days: int
    business_days: bool
    capacity: int
    day_visits: int | None
    day_minutes: int | None
    week_visits: int | None
    week_minutes: int | None
    price: Decimal
    follow_up_days: int
    follow_up_price: Decimal
    is_default: bool
    retired: bool

    def values(self) -> dict[str, Any]:
        """Answer the parameters of the statements that write them."""
        return {f"new_{name}": getattr(self, name) for name in _RULES}


def _of(clinics: ColumnElement[Any]) -> ColumnElement[bool]:
    """Say whether a practice is the calling doctor's, or at one of the clinics."""
    return or_(Practice.doctor_id == func.app_user(), Practice.clinic_id == any_(clinics))


_SEEN, _EDITED = _of(func.app_clinics()), _of(func.app_managed_clinics())
_PRACTICE = select(Practice.practice_id, Practice.clinic_id, Clinic.currency_code).join(
    Clinic, Clinic.clinic_id == Practice.clinic_id
)
_WANTED = Practice.practice_id == bindparam("practice")
FIND_SEEN = sql(_PRACTICE.where(_WANTED, _SEEN))
FIND_EDITED = sql(_PRACTICE.where(_WANTED, _EDITED))
FIND_OF_TYPE = sql(
    _PRACTICE.add_columns(
        VisitType.visit_type_id,
        VisitType.revision,
        VisitType.length_minutes,
        VisitType.buffer_before_minutes,
        VisitType.buffer_after_minutes,
        VisitType.capacity,
    )
    .join(VisitType, VisitType.practice_id == Practice.practice_id)
    .where(VisitType.visit_type_id == bindparam("visit_type"), _EDITED)
)
LIST = Listing(
    select(*VisitType.__table__.columns, Clinic.currency_code)
    .join(Practice, Practice.practice_id == VisitType.practice_id)
    .join(Clinic, Clinic.clinic_id == Practice.clinic_id)
    .where(VisitType.practice_id == bindparam("practice")),
    VisitType.name,
    VisitType.visit_type_id,
)
_VALUES: dict[str, Any] = {name: bindparam(f"new_{name}") for name in _RULES}
INSERT = sql(
    insert(VisitType)
    .values(practice_id=bindparam("practice"), **_VALUES)
    .returning(*VisitType.__table__.columns)
)
UPDATE = sql(
    update(VisitType)
    .where(VisitType.visit_type_id == bindparam("visit_type"))
    .values(revision=VisitType.revision + 1, update_time=func.app_now(), **_VALUES)
    .returning(*VisitType.__table__.columns)
)
LEAVE_DEFAULT = sql(
    update(VisitType)
    .where(
        VisitType.practice_id == bindparam("practice"),
        VisitType.is_default,
        VisitType.visit_type_id.is_distinct_from(bindparam("kept")),
    )
    .values(is_default=False, revision=VisitType.revision + 1, update_time=func.app_now())
)


def lock(visit_type_id: UUID) -> Lock:
    """Lock the calendar of the doctor whose visit type it is, so that no booking goes between."""
    return Lock(
        "SELECT FROM calendar WHERE doctor_id = (SELECT p.doctor_id FROM practice p"
        " JOIN visit_type v USING (practice_id) WHERE v.visit_type_id = {}) FOR UPDATE",
        visit_type_id,
    )


async def create(tx: Transaction, practice_id: UUID, rules: Rules, currency: str) -> dict[str, Any]:
    """Add a visit type to a practice that the caller may edit; its calendar must be locked.

    Raises NotFound, and InvalidField for a price that is not in the clinic's currency.
    """
    practice = await tx.one(FIND_EDITED, practice=practice_id)
    if practice is None:
        raise NotFound("There is no such practice.")
    _check_prices(rules, currency, practice["currency_code"])
    await _leave_default(tx, practice, rules, None)
    row = await tx.one(INSERT, practice=practice_id, **rules.values())
    return _saved(tx, "visit_type.created", practice, row)


async def find(tx: Transaction, visit_type_id: UUID) -> Record:
    """Read a visit type that the caller may edit, or NotFound.

    It is the practice, the revision, and what a visit takes: length, buffers and seats.
    """
    row = await tx.one(FIND_OF_TYPE, visit_type=visit_type_id)
    if row is None:
        raise NotFound("There is no such visit type.")
    return row


async def replace(tx: Transaction, old: Record, rules: Rules, currency: str) -> dict[str, Any]:
    """Replace the rules of the visit type that `find` found; its calendar must be locked.

    Raises InvalidField for a price that is not in the clinic's currency.
    """
    _check_prices(rules, currency, old["currency_code"])
    await _leave_default(tx, old, rules, old["visit_type_id"])
    row = await tx.one(UPDATE, visit_type=old["visit_type_id"], **rules.values())
    return _saved(tx, "visit_type.changed", old, row)


async def of_practice(
    tx: Transaction, practice_id: UUID, *, after: Sequence[Any] | None, limit: int
) -> list[Record]:
    """Answer a page by name; `after` is name and id of the last row before. Raises NotFound."""
    if await tx.one(FIND_SEEN, practice=practice_id) is None:
        raise NotFound("There is no such practice.")
    return await LIST.page(tx, practice=practice_id, after=after, limit=limit)


def _check_prices(rules: Rules, given: str, currency: str) -> None:
    check_price((rules.price, given), currency, "rules.price")
    check_price((rules.follow_up_price, given), currency, "rules.follow_up.price")


async def _leave_default(
    tx: Transaction, practice: Record, rules: Rules, kept: UUID | None
) -> None:
    """Make room for a new default: a practice has one."""
    if rules.is_default:
        await tx.run(LEAVE_DEFAULT, practice=practice["practice_id"], kept=kept)


def _saved(tx: Transaction, action: str, practice: Record, row: Record | None) -> dict[str, Any]:
    assert row is not None  # noqa: S101 - the caller may edit it, and it is locked
    state = {name: row[name] for name in _RULES if name not in _UNTOLD}
    tx.record(
        action,
        row["visit_type_id"],
        clinic_id=practice["clinic_id"],
        fields=_RULES,
        feed=Feed("visit_type", row["visit_type_id"], {"practice_id": row["practice_id"], **state}),
    )
    return {**row, "currency_code": practice["currency_code"]}
