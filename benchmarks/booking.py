"""Bookings a second through the handlers, 16 callers side by side, every commit on the disk.

Beside them what this machine allows: one row a commit, and the very messages of such bookings, sent
by asyncpg with nothing of ours around.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from uuid import uuid4

import asyncpg

from benchmarks.measure import MICROS, MILLIS, quantile, table
from benchmarks.platform import CALLERS, Load, Platform, load
from benchmarks.trips import Message, recorded, transactions
from tests.world import Person, PracticeOf, tomorrow

BOOKINGS = 4000
WARM_UP = 200
RECORDED = 1200
PATIENTS = 200
DOCTORS_OF_ONE = 10
MANY_CLINICS = 50

Visit = tuple[Person, PracticeOf, datetime]


def visits(practices: list[PracticeOf], patients: list[Person]) -> Iterator[Visit]:
    """Go through the starts of all practices, one day after the other; no patient meets twice."""
    day = tomorrow(practices[0])
    count = 0
    while True:
        for quarter in range(32):
            start = practices[0].at(day, 9) + quarter * timedelta(minutes=15)
            for practice in practices:
                yield patients[count % len(patients)], practice, start
                count += 1
        day += timedelta(days=1)


async def run(platform: Platform) -> str:
    rows = [_row("one durable row a commit, by hand (asyncpg)", await _by_hand(platform), None)]
    for name, doctors, clinics, target in (
        ("bookings, one doctor", 1, 1, None),
        ("bookings, one clinic of ten doctors", DOCTORS_OF_ONE, 1, 500),
        ("bookings, fifty clinics", MANY_CLINICS, MANY_CLINICS, 1000),
    ):
        practices = await platform.practices(doctors, clinics)
        patients = await platform.patients(PATIENTS)
        rows.append(_row(name, await _book(platform, practices, patients), target))
        if target:
            bare = await _same_messages(platform, practices, patients)
            rows.append(_row("the same messages by hand (asyncpg)", bare, None))
    trips = await round_trips(platform)
    head = (
        f"{CALLERS} callers",
        "a second",
        "target",
        "median ms",
        "p99 ms",
        "CPU µs Python",
        "CPU µs PostgreSQL",
    )
    title = f"Booking ({BOOKINGS:,} each, fewer of one doctor; {trips} round trips to the database)"
    return table(title, head, rows)


async def round_trips(platform: Platform) -> int:
    """Count what one booking sends to the database, BEGIN and COMMIT included."""
    (practice,), (patient,) = await platform.practices(1, 1), await platform.patients(1)
    with recorded() as trips:
        await platform.world.book(patient, practice, practice.at(tomorrow(practice), 11))
    return len(trips)


async def _book(platform: Platform, practices: list[PracticeOf], patients: list[Person]) -> Load:
    async def book(visit: Visit) -> None:
        await platform.world.book(*visit)

    coming = visits(practices, patients)
    count = min(BOOKINGS, 32 * 50 * len(practices))
    await load(platform, islice(coming, WARM_UP), book)
    return await load(platform, islice(coming, count - WARM_UP), book)


async def _by_hand(platform: Platform) -> Load:
    """Insert rows of the size of a claim with nothing else: what the disk and PostgreSQL allow."""
    await platform.owner.execute("CREATE TABLE measured (id uuid PRIMARY KEY, at timestamptz)")
    async with asyncpg.create_pool(
        platform.postgres.owner_dsn, min_size=CALLERS, max_size=CALLERS
    ) as pool:

        async def insert(_: int) -> None:
            await pool.execute("INSERT INTO measured VALUES ($1, $2)", uuid4(), datetime.now(UTC))

        await load(platform, range(WARM_UP), insert)
        return await load(platform, range(BOOKINGS), insert)


async def _same_messages(
    platform: Platform, practices: list[PracticeOf], patients: list[Person]
) -> Load:
    """Book once, one after the other; forget it all; send the same again, sixteen side by side."""
    await _forget(platform)
    with recorded() as sent:
        for visit in islice(visits(practices, patients), RECORDED):
            await platform.world.book(*visit)
    await _forget(platform)
    idle = [await asyncpg.connect(platform.postgres.app_dsn) for _ in range(CALLERS)]

    async def send(transaction: list[Message]) -> None:
        connection = idle.pop()
        for message in transaction:
            await getattr(connection, message.method)(message.query, *message.arguments)
        idle.append(connection)

    try:
        coming = iter(transactions(sent))
        await load(platform, islice(coming, WARM_UP), send)
        return await load(platform, coming, send)
    finally:
        for connection in idle:
            await connection.close()


async def _forget(platform: Platform) -> None:
    await platform.owner.execute("TRUNCATE claim, appointment, idempotency CASCADE")


def _row(name: str, done: Load, target: int | None) -> tuple[object, ...]:
    count = len(done.calls)
    return (
        name,
        done.rate,
        f"≥ {target:,}" if target else "",
        quantile(done.calls, 0.5) * MILLIS,
        quantile(done.calls, 0.99) * MILLIS,
        done.python / count * MICROS,
        done.database / count * MICROS,
    )
