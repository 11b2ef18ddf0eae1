"""Group visits: one claim, the session, for all who come at a start, and a seat for each.

A seat is a visit or a hold. The database ends a session with its last seat, and lets it expire
with the last hold while no visit is booked; only who wants its very time ends it before.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import FromClause, Select, Uuid, bindparam, func, select

from server.availability.schedule import Offer
from server.core.db import Transaction, sql

_SEATS = sql(select(func.seats_of(bindparam("session", type_=Uuid)).label("seats")))


def is_group(offer: Offer) -> bool:
    """Say whether several patients may come at one start."""
    return offer.schedule.terms.capacity > 1


def joins(offer: Offer, start: datetime) -> bool:
    """Say whether somebody else comes at that start already, in the same session."""
    return any(each.shared and each.start == start for each in offer.schedule.booked)


def left(leaving: FromClause) -> Select[Any]:
    """Select the claims that end when all of `leaving` do: not a session with other seats.

    `leaving` has the `claim_id` of visits and holds, and whether each of them is `live`. Seats are
    counted as they were before the statement.
    """
    claim_id = leaving.c.claim_id
    lives = func.count().filter(leaving.c.live)
    return select(claim_id).group_by(claim_id).having(func.seats_of(claim_id) <= lives)


async def freed_by(tx: Transaction, visit_id: UUID, session_id: UUID | None) -> UUID:
    """Answer the claim that ends when a visit moves, its own unless nobody else has a seat."""
    if session_id is None:
        return visit_id
    (row,) = await tx.all(_SEATS, session=session_id)
    return session_id if row["seats"] <= 1 else visit_id
