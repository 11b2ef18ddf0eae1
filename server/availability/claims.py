"""Taking a doctor's time and giving it back, as parts of a statement of the caller's."""

from datetime import timedelta
from typing import Any

from sqlalchemy import (
    CTE,
    TIMESTAMP,
    CompoundSelect,
    Delete,
    FromClause,
    ScalarSelect,
    Select,
    Subquery,
    Uuid,
    any_,
    bindparam,
    delete,
    func,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from server.availability.models import Claim
from server.availability.slots import MARGIN

_INSTANT = TIMESTAMP(timezone=True)
DOCTOR = bindparam("claim_doctor", type_=Uuid)
_START = bindparam("claim_start", type_=_INSTANT)
_END = bindparam("claim_end", type_=_INSTANT)
_OVERLAPS = (
    (Claim.doctor_id == DOCTOR)
    & (Claim.start_time > _START - timedelta(days=MARGIN.days))
    & (Claim.start_time < _END)
    & (Claim.end_time > _START)
)


def session() -> ScalarSelect[Any]:
    """Select the id of the session that has exactly the time of `claim`."""
    same = (Claim.doctor_id == DOCTOR) & (Claim.start_time == _START) & (Claim.end_time == _END)
    return select(Claim.claim_id).where(same, Claim.kind == "session").scalar_subquery()


def overlapped() -> Subquery:
    """Select the ids of the claims that the time of `claim` overlaps."""
    return select(Claim.claim_id).where(_OVERLAPS).subquery("overlapped")


def claim(giving_way: Select[Any] | CompoundSelect[Any], prefix: str = "claimed") -> CTE:
    """Take time. Removed first: expired claims in the way, and those whose ids `giving_way` has.

    Its parameters are `claim_id`, `claim_doctor`, `claim_start`, `claim_end`, `claim_kind` and
    `claim_expire`; a taken time violates the constraint `claim_overlap`.
    """
    expired = select(Claim.claim_id).where(_OVERLAPS, Claim.expire_time <= func.app_now())
    # An array of ids is looked up; OR over two conditions would read every claim there is.
    leaving = func.array(union_all(expired, giving_way).scalar_subquery())
    gone = (
        delete(Claim)
        .where(Claim.claim_id == any_(leaving))
        .returning(Claim.claim_id)
        .cte(f"{prefix}_gone")
    )
    # Reading the count makes the deletion come first.
    first = select(func.count().label("n")).select_from(gone).subquery()
    return taken_once(first, prefix)


def taken_once(once: FromClause, prefix: str = "claimed") -> CTE:
    """Take the time of `claim` for the row of `once`, if there is one."""
    columns = ("claim_id", "doctor_id", "start_time", "end_time", "kind", "expire_time")
    values = select(
        bindparam("claim_id", type_=Uuid),
        DOCTOR,
        _START,
        _END,
        bindparam("claim_kind", type_=Claim.kind.type),
        bindparam("claim_expire", type_=_INSTANT),
    ).select_from(once)
    return insert(Claim).from_select(columns, values).returning(Claim.claim_id).cte(prefix)


def keep_until(claim_ids: CTE) -> CTE:
    """Let the claims whose ids are the first column of `claim_ids` expire at `claim_expire`."""
    ids = select(next(iter(claim_ids.c)))
    until = bindparam("claim_expire", type_=_INSTANT)
    kept = update(Claim).where(Claim.claim_id.in_(ids)).values(expire_time=until)
    return kept.returning(Claim.claim_id).cte("kept")


def forget_expired(batch: int) -> Delete:
    """Delete a batch of expired claims: only for tidiness, since who wants the time does it too."""
    is_over = Claim.expire_time <= func.app_now()
    old = func.array(select(Claim.claim_id).where(is_over).limit(batch).scalar_subquery())
    # Asked again of the claim as it then is: somebody may keep it longer meanwhile.
    return delete(Claim).where(Claim.claim_id == any_(old), is_over)


def release(claim_ids: CTE, name: str = "released") -> CTE:
    """Free the time of the claims whose ids are the first column of `claim_ids`."""
    ids = select(next(iter(claim_ids.c)))
    return delete(Claim).where(Claim.claim_id.in_(ids)).returning(Claim.claim_id).cte(name)
