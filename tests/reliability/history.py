"""What clients saw of their calls, and what must then stand in the database, whatever was killed.

A call ends *known* (booked, or refused with a reason) or *unknown*, as when the server was killed
while it was served. Its client repeats an unknown one with the same request_id until it is known.
"""

import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import grpc

from tests.refusal import Refusal
from tests.world import Person, PracticeOf, World, tomorrow

DEEP = os.environ.get("CARELANE_TEST_COUNTS") == "deep"
CHANCE = random.Random(20260703)  # noqa: S311 - races, not secrets
BOOKED = "BOOKED"
UNKNOWN = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
}
HALF_HOUR = timedelta(minutes=30)

# Books in the name of somebody, with a request_id and a start, and answers the appointment.
Book = Callable[[Any, UUID, datetime], Awaitable[Any]]


def times(quick: int, deep: int) -> int:
    """Answer how often something is tried: `deep` in `make test-deep`."""
    return deep if DEEP else quick


def starts(practice: PracticeOf, count: int) -> list[datetime]:
    """Answer the first starts of a practice from tomorrow on, sixteen a day."""
    first = practice.at(tomorrow(practice), 9)
    return [first + timedelta(days=n // 16) + n % 16 * HALF_HOUR for n in range(count)]


def booking(world: World, practice: PracticeOf) -> Book:
    """Answer what books at a practice in this process."""

    async def book(person: Person, request_id: UUID, start: datetime) -> Any:
        fields = {"request_id": request_id, "practice_id": practice.practice_id}
        return (await world.call("BookAppointment", person, start_time=start, **fields)).appointment

    return book


@dataclass
class Sent:
    """A request and each of its outcomes: BOOKED, a reason, or None when it is not known."""

    person: Any
    start: datetime
    request_id: UUID = field(default_factory=uuid4)
    outcomes: list[str | None] = field(default_factory=list)
    booked: set[str] = field(default_factory=set)

    async def attempt(self, book: Book) -> None:
        """Send it, once more when it was sent before, and note what comes of it."""
        try:
            visit = await book(self.person, self.request_id, self.start)
        except grpc.aio.AioRpcError as error:
            self.outcomes.append(None if error.code() in UNKNOWN else Refusal(error).reason)
        except asyncio.CancelledError:
            self.outcomes.append(None)
        else:
            self.outcomes.append(BOOKED)
            self.booked.add(visit.appointment_id)

    async def settle(self, book: Book) -> None:
        """Repeat it while its outcome is unknown."""
        while not self.is_known:
            await self.attempt(book)

    @property
    def is_known(self) -> bool:
        return bool(self.outcomes) and self.outcomes[-1] is not None


class History:
    """All that the clients of one practice have sent."""

    def __init__(self, practice: PracticeOf) -> None:
        self.practice = practice
        self.sent: list[Sent] = []

    def request(self, person: Any, start: datetime) -> Sent:
        """Note a request that will be sent."""
        made = Sent(person, start)
        self.sent.append(made)
        return made

    def outcomes(self) -> set[str | None]:
        return {outcome for sent in self.sent for outcome in sent.outcomes}

    async def settle(self, book: Book) -> None:
        """Repeat what is unknown until it is known, for thirty seconds at most."""
        async with asyncio.timeout(30):
            await together(sent.settle(book) for sent in self.sent)

    async def violations(self, owner: Any) -> set[str]:
        """Name the promises that the database does not keep; it must be at rest, and settled."""
        query = "SELECT appointment_id FROM appointment WHERE practice_id = $1"
        visits = await owner.fetch(query, self.practice.practice_id)
        there = {str(row["appointment_id"]) for row in visits}
        acknowledged = {visit for sent in self.sent for visit in sent.booked}
        found = {
            "lost": acknowledged - there,
            "nobody asked for": there - acknowledged,
            "several effects": [sent for sent in self.sent if len(sent.booked) > 1],
        }
        found |= {name: await self._count(owner, query) for name, query in QUERIES.items()}
        return {name for name, broken in found.items() if broken}

    async def _count(self, owner: Any, query: str) -> int:
        doctor, clinic = self.practice.doctor.user_id, self.practice.clinic_id
        typed = "WITH whose AS (SELECT $1::uuid, $2::uuid)"  # whichever of them a query leaves out
        return int(await owner.fetchval(f"{typed} {query}", doctor, clinic))


_ACTIVE = "status IN ('pending_payment', 'booked', 'checked_in', 'in_consultation')"
_VISITS = "SELECT count(*) FROM appointment v WHERE doctor_id = $1 AND clinic_id = $2 AND "
# By the name of the promise: how often it is broken at a doctor ($1) and clinic ($2).
QUERIES = {
    "two visits at once": f"{_VISITS} v.{_ACTIVE} AND EXISTS (SELECT FROM appointment w"
    f" WHERE w.doctor_id = $1 AND w.{_ACTIVE} AND w.appointment_id <> v.appointment_id"
    " AND w.start_time < v.end_time AND v.start_time < w.end_time)",
    "a visit without its time": f"{_VISITS} v.{_ACTIVE} AND NOT EXISTS"
    " (SELECT FROM claim WHERE claim_id = v.appointment_id)",
    "time without its visit": "SELECT count(*) FROM claim WHERE doctor_id = $1 AND NOT EXISTS"
    " (SELECT FROM appointment WHERE appointment_id = claim_id AND status <> 'cancelled'"
    " AND clinic_id = $2)",
    "a visit without its payment": f"{_VISITS} NOT EXISTS (SELECT FROM payment_transaction p"
    " WHERE p.appointment_id = v.appointment_id"
    " AND (p.status = 'voided') = (v.status IN ('cancelled', 'no_show'))"
    " AND (p.status = 'settled') = (v.status = 'completed'))",
    "a change without its audit": f"{_VISITS} v.revision <>"
    " (SELECT count(*) FROM audit WHERE subject_id = v.appointment_id)",
    "a change that nobody is told": f"{_VISITS} v.revision <>"
    " (SELECT count(*) FROM outbox WHERE subject_id = v.appointment_id)",
    "a change missing in the feed": f"{_VISITS} v.revision <>"
    " (SELECT count(*) FROM feed_entry WHERE clinic_id = $2 AND thing_id = v.appointment_id)",
    "a gap in the feed": "SELECT count(*) FROM clinic_feed f WHERE clinic_id = $2"
    " AND last_revision IS DISTINCT FROM (SELECT max(revision) FROM feed_entry"
    " WHERE clinic_id = $2 HAVING count(*) = max(revision))",
    "an answer that was not kept": "SELECT count(*) FROM idempotency WHERE response IS NULL"
    " AND user_id IN (SELECT patient_id FROM appointment WHERE doctor_id = $1 AND clinic_id = $2)",
}


async def together(attempts: Iterable[Awaitable[Any]], width: int = 40) -> list[Any]:
    """Await all, `width` at a time, and answer their results."""
    free = asyncio.Semaphore(width)

    async def one(attempt: Awaitable[Any]) -> Any:
        async with free:
            return await attempt

    return await asyncio.gather(*map(one, attempts))
