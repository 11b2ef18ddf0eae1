"""What an edit of a schedule would do: it is made, looked at, and rolled back."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from server.availability import schedule as schedules
from server.availability.hours import DAY, Span
from server.availability.slots import offered
from server.availability.stranded import StrandsAppointments, Visit
from server.core.access import Caller
from server.core.db import Database, Lock, Transaction

Edit = Callable[..., Awaitable[Any]]  # takes `allow_stranded`


class Shown(NamedTuple):
    """Whose free times are compared, and on which local days."""

    practice_id: UUID
    visit_type_id: UUID | None
    first: date
    days: int


class Effect(NamedTuple):
    """The visits that an edit would strand, and the free times that would come and go, by start."""

    stranded: Sequence[Visit]
    added: list[Span]
    removed: list[Span]


class _LookedAt(Exception):
    """The edit is rolled back."""


@asynccontextmanager
async def rolled_back(db: Database, caller: Caller, lock: Lock) -> AsyncIterator[Transaction]:
    """Run the block in a transaction that saves nothing."""
    try:
        async with db.transaction(caller, lock=lock) as tx:
            yield tx
            raise _LookedAt
    except _LookedAt:
        pass


async def effect(tx: Transaction, shown: Shown, edit: Edit) -> Effect:
    """Make the edit, and answer what it changes; raises what the edit raises.

    To be called in a transaction that is rolled back.
    """
    before = await _free(tx, shown)
    stranded: Sequence[Visit] = ()
    try:
        await edit(allow_stranded=False)
    except StrandsAppointments as refused:
        stranded = refused.visits
        await edit(allow_stranded=True)
    after = await _free(tx, shown)
    return Effect(stranded, _only_in(after, before), _only_in(before, after))


async def _free(tx: Transaction, shown: Shown) -> Mapping[datetime, Span]:
    last = shown.first + (shown.days - 1) * DAY
    offer = await schedules.of_practice(
        tx, shown.practice_id, shown.visit_type_id, shown.first, last
    )
    if offer is None:
        return {}
    schedule = offer.schedule
    return {start: schedule.terms.visit(start) for start in offered(schedule, tx.now)}


def _only_in(some: Mapping[datetime, Span], others: Mapping[datetime, Span]) -> list[Span]:
    return [span for start, span in some.items() if start not in others]
