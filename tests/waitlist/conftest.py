"""A world that commits, with a clock of its own and a worker beside it."""

from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from prometheus_client import CollectorRegistry

from launch.postgres import EmbeddedPostgres
from server import work
from server.availability.hours import Rule, Window
from server.core import log
from server.core.clock import MovableClock
from server.core.db import Database
from server.core.outbox import OutboxMetrics, Relay
from server.waitlist import jobs
from tests.world import Person, PracticeOf, World, tomorrow

ONE_HOUR = tuple(Rule(weekday, Window(10 * 60, 11 * 60)) for weekday in range(1, 8))


class Stage:
    """A practice open from ten to eleven, with two visits a day, and who waits for it."""

    def __init__(self, world: World, worker: Database, clock: MovableClock) -> None:
        self.world, self.worker, self.clock = world, worker, clock
        metrics = OutboxMetrics(CollectorRegistry())
        handlers = work._together(work.HANDLERS)
        self._relay = Relay(handlers, logger=log.logger("CRITICAL"), metrics=metrics)
        self.practice: PracticeOf
        self.day: date

    async def open(self, **fields: Any) -> None:
        self.practice = await self.world.practice(rules=ONE_HOUR, **fields)
        self.day = tomorrow(self.practice, self.clock.now())

    def at(self, hour: int, minute: int = 0) -> datetime:
        return self.practice.at(self.day, hour, minute)

    async def fill(self) -> list[tuple[Person, Any]]:
        """Book both times of tomorrow, and answer who has them."""
        booked = []
        for minute in (0, 30):
            patient = await self.world.person()
            visit = await self.world.book(patient, self.practice, self.at(10, minute))
            booked.append((patient, visit))
        return booked

    async def join(self, person: Person | None = None, **fields: Any) -> Person:
        """Let somebody, new by default, wait for a time of tomorrow at the practice."""
        person = person or await self.world.person()
        wish = {"practice_id": self.practice.practice_id, "until_date": self.day}
        fields = {"request_id": uuid4(), "from_date": self.day} | wish | fields
        await self.world.call("JoinWaitlist", person, **fields)
        return person

    async def cancel(self, booked: tuple[Person, Any]) -> None:
        patient, visit = booked
        await self.world.call(
            "CancelAppointment", patient, request_id=uuid4(), appointment_id=visit.appointment_id
        )

    async def work(self) -> None:
        """Let the worker do everything that there is to do now."""
        while await jobs.lapse(self.worker):
            pass
        await self.relay()
        while await jobs.offer(self.worker):
            pass
        await self.relay()

    async def relay(self) -> None:
        """Deliver what waits."""
        while await self._relay.deliver(self.worker):
            pass

    async def later(self, **span: int) -> None:
        self.clock.advance(timedelta(**span))
        await self.work()

    async def entry(self, person: Person) -> Any:
        """Answer the only entry of somebody."""
        answer = await self.world.call("ListMyWaitlist", person, include_ended=True)
        (entry,) = answer.entries
        return entry

    async def offered(self, *people: Person) -> list[bool]:
        """Say who has an open offer."""
        return [(await self.entry(person)).HasField("offer") for person in people]

    async def answer(self, rpc_name: str, person: Person, **fields: Any) -> Any:
        """Accept or decline the open offer of somebody."""
        offer_id = (await self.entry(person)).offer.offer_id
        fields = {"request_id": uuid4(), "offer_id": offer_id} | fields
        return await self.world.call(rpc_name, person, **fields)


@pytest.fixture
async def stage(postgres: EmbeddedPostgres, city_id: UUID) -> AsyncIterator[Stage]:
    clock = MovableClock()
    database = await Database.connect(postgres.app_dsn, clock, size=20)
    worker = await Database.connect(postgres.worker_dsn, clock, size=4)
    made = Stage(World(database, city_id), worker, clock)
    try:
        await made.open()
        yield made
    finally:
        await made.world.channel.close()
        await worker.close()
        await database.close()
