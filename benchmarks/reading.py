"""What a page of free times and the next free time of many doctors cost."""

from collections.abc import Awaitable, Callable

from benchmarks.measure import MILLIS, awaited, table
from benchmarks.platform import Platform
from benchmarks.trips import Message, queries, recorded
from server.availability import service
from tests.world import PracticeOf, tomorrow

RUNS = 50
DOCTORS = 100
DAYS = 14
VISITS_A_DOCTOR = 5


async def run(platform: Platform) -> str:
    practices = await platform.practices(DOCTORS, 10)
    await _busy(platform, practices)
    rows = [await _page(platform, practices[0], days) for days in (1, 7, 31)]
    rows.append(await _next_free(platform, practices))
    head = ("", "queries", "times found", "median ms", "p99 ms", "CPU ms Python")
    return table(f"Reading free times ({RUNS} runs)", head, rows)


async def _page(platform: Platform, practice: PracticeOf, days: int) -> tuple[object, ...]:
    """Ask for one doctor's free times through the handler."""

    async def page() -> int:
        doctor_id = practice.doctor.user_id
        answer = await platform.world.call(
            "GetSlots", doctor_id=doctor_id, from_date=tomorrow(practice), days=days
        )
        return sum(len(day.slots) for day in answer.days)

    with recorded() as sent:
        found = await page()
    return await _row(f"slots page, one doctor, {days} days", queries(sent), found, page)


async def _next_free(platform: Platform, practices: list[PracticeOf]) -> tuple[object, ...]:
    doctors = [practice.doctor.user_id for practice in practices]
    db = platform.world.db

    async def next_free() -> int:
        return len(await service.next_free_of(db, doctors, db.clock.now(), DAYS))

    with recorded() as sent:
        found = await next_free()
    return await _row(
        f"next free time, {DOCTORS} doctors, {DAYS} days", queries(sent), found, next_free
    )


async def _busy(platform: Platform, practices: list[PracticeOf]) -> None:
    """Take a few times of every doctor, the first of the day among them."""
    for practice in practices:
        patient = await platform.world.person()
        day = tomorrow(practice)
        for hour in range(9, 9 + VISITS_A_DOCTOR):
            await platform.world.book(patient, practice, practice.at(day, hour))


async def _row(
    name: str, sent: list[Message], found: int, action: Callable[[], Awaitable[int]]
) -> tuple[object, ...]:
    times = await awaited(action, RUNS)
    seconds = (times.median, times.p99, times.median_cpu)
    return (name, len(sent), found, *(each * MILLIS for each in seconds))
