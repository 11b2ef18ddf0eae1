"""Who works at a clinic, and what they may do there."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from asyncpg import Record
from sqlalchemy import bindparam, delete, func, insert, literal_column, select, update

from server.auth import service as auth
from server.core.db import Feed, Lock, Transaction, refusing, sql
from server.core.errors import AlreadyExists, FailedPrecondition, NotFound, PermissionDenied
from server.directory.keyset import Listing
from server.directory.models import ClinicMember, Practice

OWNER = "owner"
GRANTS = {
    OWNER: frozenset({OWNER, "manager", "front_desk", "doctor"}),
    "manager": frozenset({"front_desk", "doctor"}),
}
"""The roles that a member may give to others and take from them; nobody else may any."""

_IS_MEMBER = (
    ClinicMember.clinic_id == bindparam("clinic"),
    ClinicMember.user_id == bindparam("user"),
)
_MEMBER = (
    ClinicMember.clinic_id,
    ClinicMember.user_id,
    ClinicMember.role,
    ClinicMember.create_time,
)

MEMBERS = Listing(
    select(*_MEMBER).where(ClinicMember.clinic_id == bindparam("clinic")),
    ClinicMember.create_time,
    ClinicMember.user_id,
)
GET = sql(select(*_MEMBER).where(*_IS_MEMBER))
INSERT = sql(
    insert(ClinicMember)
    .values(
        clinic_id=bindparam("clinic"),
        user_id=bindparam("user"),
        role=bindparam("new_role"),
        create_time=bindparam("now"),
    )
    .returning(*_MEMBER)
)
UPDATE = sql(
    update(ClinicMember).where(*_IS_MEMBER).values(role=bindparam("new_role")).returning(*_MEMBER)
)
DELETE = sql(delete(ClinicMember).where(*_IS_MEMBER))
COUNT_OTHER_OWNERS = sql(
    select(func.count().label("count"))
    .select_from(ClinicMember)
    .where(
        ClinicMember.clinic_id == bindparam("clinic"),
        ClinicMember.user_id != bindparam("user"),
        ClinicMember.role == literal_column("'owner'"),
    )
)
SET_PRACTICE = sql(
    update(Practice)
    .where(
        Practice.clinic_id == bindparam("clinic"),
        Practice.doctor_id == bindparam("user"),
        Practice.status != bindparam("new_status"),
    )
    .values(status=bindparam("new_status"))
    .returning(Practice.practice_id)
)


class AlreadyMember(AlreadyExists):
    """A person is a member of a clinic once."""

    text = "This person works at the clinic already."


class LastOwner(FailedPrecondition):
    """A clinic keeps at least one owner."""

    reason = "LAST_OWNER"
    text = "A clinic keeps at least one owner; make somebody else one first."


def clinic_lock(clinic_id: UUID) -> Lock:
    """Let one change of a clinic's members run at a time; bookings there go on."""
    return Lock("SELECT FROM clinic WHERE clinic_id = {} FOR NO KEY UPDATE", clinic_id)


async def list_members(
    tx: Transaction, clinic_id: UUID, *, after: Sequence[Any] | None, limit: int
) -> list[Mapping[str, Any]]:
    """Answer a page of a clinic's members, in the order in which they joined.

    `after` is create_time and user_id of the last row before. NotFound unless the caller is one.
    """
    await _own_role(tx, clinic_id)
    rows = await MEMBERS.page(tx, clinic=clinic_id, after=after, limit=limit)
    people = await auth.accounts(tx, [row["user_id"] for row in rows])
    return [_named(row, people[row["user_id"]]) for row in rows]


async def add(tx: Transaction, clinic_id: UUID, *, email: str, role: str) -> Mapping[str, Any]:
    """Let the account with this address work at the clinic, under `clinic_lock`.

    A practice that a doctor had there before is offered again.
    """
    if role not in _grants(await _own_role(tx, clinic_id)):
        raise PermissionDenied
    account = await auth.find_account(tx, email)
    if account is None:
        raise NotFound("There is no account with this e-mail address.")
    user_id = account["user_id"]
    with refusing(clinic_member_pkey=AlreadyMember):
        row = await tx.one(INSERT, clinic=clinic_id, user=user_id, new_role=role, now=tx.now)
    assert row is not None  # noqa: S101 - an INSERT of one row
    await _set_practice(tx, clinic_id, user_id, "active")
    _record(tx, "clinic.member_added", row, role=(None, row["role"]))
    return _named(row, account)


async def set_role(
    tx: Transaction, clinic_id: UUID, user_id: UUID, *, role: str
) -> Mapping[str, Any]:
    """Change what a member may do, under `clinic_lock`."""
    granted = _grants(await _own_role(tx, clinic_id))
    row = await _member(tx, clinic_id, user_id)
    if not granted >= {row["role"], role}:
        raise PermissionDenied
    if role != row["role"]:
        await _keep_an_owner(tx, row)
        changed = await tx.one(UPDATE, clinic=clinic_id, user=user_id, new_role=role)
        assert changed is not None  # noqa: S101 - the clinic's members are locked
        _record(tx, "clinic.member_changed", changed, role=(row["role"], role))
        row = changed
    return _named(row, (await auth.accounts(tx, [user_id]))[user_id])


async def remove(tx: Transaction, clinic_id: UUID, user_id: UUID) -> None:
    """End a membership, under `clinic_lock`; a doctor's practice there is offered no more.

    Everyone may leave.
    """
    granted = _grants(await _own_role(tx, clinic_id))
    row = await _member(tx, clinic_id, user_id)
    if user_id != tx.caller.user_id and row["role"] not in granted:
        raise PermissionDenied
    await _keep_an_owner(tx, row)
    await _set_practice(tx, clinic_id, user_id, "ended")
    await tx.run(DELETE, clinic=clinic_id, user=user_id)
    _record(tx, "clinic.member_removed", row, role=(row["role"], None))


async def _own_role(tx: Transaction, clinic_id: UUID) -> str:
    """Answer the caller's role; to who has none, the clinic's inside does not exist."""
    own = await tx.one(GET, clinic=clinic_id, user=tx.caller.user_id)
    if own is None:
        raise NotFound
    return str(own["role"])


def _grants(role: str) -> frozenset[str]:
    return GRANTS.get(role, frozenset())


async def _member(tx: Transaction, clinic_id: UUID, user_id: UUID) -> Record:
    row = await tx.one(GET, clinic=clinic_id, user=user_id)
    if row is None:
        raise NotFound
    return row


async def _keep_an_owner(tx: Transaction, leaving: Record) -> None:
    if leaving["role"] != OWNER:
        return
    clinic_id, user_id = leaving["clinic_id"], leaving["user_id"]
    others = await tx.one(COUNT_OTHER_OWNERS, clinic=clinic_id, user=user_id)
    if not others or not others["count"]:
        raise LastOwner


async def _set_practice(tx: Transaction, clinic_id: UUID, user_id: UUID, status: str) -> None:
    row = await tx.one(SET_PRACTICE, clinic=clinic_id, user=user_id, new_status=status)
    if row is None:
        return
    practice_id = row["practice_id"]
    state = {"doctor_id": user_id, "status": status}
    tx.record(
        "practice.ended" if status == "ended" else "practice.reopened",
        practice_id,
        clinic_id=clinic_id,
        fields={"status": ("active" if status == "ended" else "ended", status)},
        feed=Feed("practice", practice_id, state),
    )


def _record(
    tx: Transaction, action: str, row: Record, *, role: tuple[str | None, str | None]
) -> None:
    event = {"clinic_id": row["clinic_id"], "user_id": row["user_id"], "role": row["role"]}
    clinic_id, (was, now) = row["clinic_id"], (row["user_id"] if each else None for each in role)
    fields = {"user_id": (was, now), "role": role}
    tx.record(action, clinic_id, clinic_id=clinic_id, fields=fields, event=event)


def _named(row: Record, account: Record) -> Mapping[str, Any]:
    return {**row, "full_name": account["full_name"], "email": account["email"]}
