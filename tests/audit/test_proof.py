"""No act without its row, no row without its act: under many calls, and when something breaks."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import grpc
import pytest

from carelane.patient.v1 import dependant_pb2
from launch.postgres import EmbeddedPostgres
from tests.counts import count
from tests.refusal import refused
from tests.world import Person, PracticeOf, World, tomorrow

CALLS = count(200, deep=2000)
CLIENTS = 8


class Client:
    """Somebody who calls this and that at a practice, and notes which acts that should leave."""

    def __init__(self, world: World, at: PracticeOf, people: tuple[Person, ...], seed: str) -> None:
        self.world, self.at, self.seed = world, at, seed
        self.patient, self.desk, self.stranger = people
        self.chance = random.Random(seed)  # noqa: S311 - no secret
        self.expected: Counter[tuple[str, str]] = Counter()
        self.refusals: list[grpc.StatusCode] = []
        self._number = self._times = 0
        self._visits: dict[str, bool] = {}  # and whether they are confirmed
        self._dependants: list[str] = []

    async def run(self, calls: int) -> None:
        acts = (self._book, self._book, self._confirm, self._move, self._cancel, self._dependant)
        reads = (self._read, self._list, self._read_of_another, self._invalid)
        while self._number < calls:
            await self.chance.choice((*acts, *reads))()

    async def _call(self, act: str, name: str, person: Person, **fields: Any) -> Any:
        """Call once, and expect `act` if it is not refused."""
        self._number += 1
        call_id = f"{self.seed}.{self._number}"
        try:
            answer = await self.world.call(name, person, call_id=call_id, **fields)
        except grpc.aio.AioRpcError as error:
            self.refusals.append(error.code())
            return None
        if act:
            self.expected[call_id, act] += 1
        return answer

    def _next_time(self) -> datetime:
        day, slot = divmod(self._times, 32)
        self._times += 1
        first = self.at.at(tomorrow(self.at) + timedelta(days=day), 9)
        return first + slot * timedelta(minutes=15)

    async def _book(self) -> None:
        at = {"practice_id": self.at.practice_id, "request_id": uuid4()}
        at["start_time"] = self._next_time()
        made = await self._call("appointment.booked", "BookAppointment", self.patient, **at)
        await self._call("", "BookAppointment", self.patient, **at)
        self._visits[made.appointment.appointment_id] = False
        taken = at | {"request_id": uuid4()}
        assert not await self._call("x", "BookAppointment", self.stranger, **taken)

    async def _change(self, act: str, name: str, person: Person, **fields: Any) -> Any:
        visit = self._any_visit()
        return visit, await self._call(
            act, name, person, appointment_id=visit, request_id=uuid4(), **fields
        )

    async def _confirm(self) -> None:
        unconfirmed = self.chance.choice([*self._visits.items(), (str(uuid4()), False)])
        fields = {"appointment_id": unconfirmed[0], "request_id": uuid4()}
        act = "" if unconfirmed[1] else "appointment.confirmed"
        if await self._call(act, "ConfirmAppointment", self.at.doctor, **fields):
            self._visits[unconfirmed[0]] = True

    async def _move(self) -> None:
        start = self._next_time()
        visit, moved = await self._change(
            "appointment.moved", "RescheduleAppointment", self.patient, start_time=start
        )
        if moved:
            self._visits[visit] = False

    async def _cancel(self) -> None:
        visit, done = await self._change("appointment.cancelled", "CancelAppointment", self.desk)
        if done:
            del self._visits[visit]

    async def _dependant(self) -> None:
        if self._dependants:
            fields = {"patient_id": self._dependants.pop(), "request_id": uuid4()}
            await self._call("dependant.ended", "EndDependant", self.patient, **fields)
            return
        fields = {"full_name": "Kiran Rao", "relation": dependant_pb2.RELATION_CHILD}
        fields["request_id"] = uuid4()
        added = await self._call("dependant.added", "AddDependant", self.patient, **fields)
        self._dependants.append(added.dependant.patient_id)

    async def _read(self) -> None:
        reader = self.chance.choice([self.patient, self.desk, self.at.doctor])
        act = "" if reader is self.patient else "appointment.read"
        await self._call(act, "GetAppointment", reader, appointment_id=self._any_visit())

    async def _list(self) -> None:
        fields = {"clinic_id": self.at.clinic_id, "days": 30}
        listed = await self._call("", "ListDoctorAppointments", self.desk, **fields)
        if listed.appointments:
            self.expected[f"{self.seed}.{self._number}", "schedule.read"] += 1

    async def _read_of_another(self) -> None:
        fields = {"appointment_id": self._any_visit()}
        assert not await self._call("x", "GetAppointment", self.stranger, **fields)

    async def _invalid(self) -> None:
        fields = {"appointment_id": "x", "request_id": uuid4()}
        assert not await self._call("x", "CancelAppointment", self.patient, **fields)

    def _any_visit(self) -> str:
        return self.chance.choice([*self._visits, str(uuid4())])


async def client(world: World, seed: str) -> Client:
    at = await world.practice(length_minutes=15, interval_minutes=15, horizon_days=60)
    people = await world.person(), await world.front_desk(at), await world.person()
    return Client(world, at, people, seed)


async def test_acts_and_rows_of_the_audit_are_the_same(live_world: World, owner: Any) -> None:
    run = uuid4().hex[:8]
    clients = [await client(live_world, f"{run}.{number}") for number in range(CLIENTS)]
    await asyncio.gather(*(each.run(CALLS // CLIENTS) for each in clients))
    rows = await owner.fetch(
        "SELECT request_id, action, count(*) FROM audit WHERE request_id LIKE $1 GROUP BY 1, 2",
        f"{run}.%",
    )
    written = Counter({(row["request_id"], row["action"]): row["count"] for row in rows})
    expected = sum((each.expected for each in clients), Counter())
    assert (expected - written, written - expected) == (Counter(), Counter())
    assert len({act for _, act in expected}) >= 7
    refusals = [code for each in clients for code in each.refusals]
    assert len(refusals) > CALLS / 20
    assert not {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN} & {*refusals}


@pytest.fixture
async def owner(postgres: EmbeddedPostgres) -> AsyncIterator[Any]:
    """A connection that sees every row."""
    connection = await asyncpg.connect(postgres.owner_dsn)
    yield connection
    await connection.close()


@asynccontextmanager
async def broken(postgres: EmbeddedPostgres, when: str, how: str) -> AsyncIterator[None]:
    """Let something happen in the database, as `when` and `how` of a trigger say."""
    power = await asyncpg.connect(postgres.superuser_dsn)
    table = when.partition(" ON ")[2].partition(" ")[0]
    await power.execute(
        "CREATE FUNCTION break() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER"
        f" SET search_path = public, pg_temp AS $$ BEGIN {how}; RETURN NEW; END $$"
    )
    await power.execute(f"CREATE {when} EXECUTE FUNCTION break()")
    try:
        yield
    finally:
        await power.execute(f"DROP TRIGGER breaks ON {table}")
        await power.execute("DROP FUNCTION break()")
        await power.close()


BEFORE_AUDIT = "TRIGGER breaks BEFORE INSERT ON audit FOR EACH ROW"
AFTER_AUDIT = (
    "CONSTRAINT TRIGGER breaks AFTER INSERT ON audit DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"
)
REFUSED = "RAISE EXCEPTION 'no'"
KILLED = "PERFORM pg_terminate_backend(pg_backend_pid())"


@pytest.mark.parametrize("when", [BEFORE_AUDIT, AFTER_AUDIT], ids=["before", "at the commit"])
@pytest.mark.parametrize("how", [REFUSED, KILLED], ids=["refused", "killed"])
async def test_what_breaks_between_act_and_audit_loses_both(
    live_world: World, postgres: EmbeddedPostgres, owner: Any, when: str, how: str
) -> None:
    at, patient = await live_world.practice(), await live_world.person()
    call_id, fields = uuid4().hex, {"request_id": uuid4(), "practice_id": at.practice_id}
    fields["start_time"] = at.at(tomorrow(at), 10)
    book = ("BookAppointment", patient)
    async with broken(postgres, when, how):
        refusal = await refused(live_world.call(*book, call_id=call_id, **fields))
    assert refusal.code in {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE}
    assert await left(owner, patient, call_id) == (0, 0)
    await live_world.call(*book, call_id=call_id, **fields)
    assert await left(owner, patient, call_id) == (1, 1)


async def test_a_reading_that_cannot_be_written_down_shows_nothing(
    live_world: World, postgres: EmbeddedPostgres
) -> None:
    at, patient = await live_world.practice(), await live_world.person()
    visit = await live_world.book(patient, at, at.at(tomorrow(at), 10))
    named = {"appointment_id": visit.appointment_id}
    async with broken(postgres, BEFORE_AUDIT, REFUSED):
        refusal = await refused(live_world.call("GetAppointment", at.doctor, **named))
        await live_world.call("GetAppointment", patient, **named)
    assert refusal.code is grpc.StatusCode.INTERNAL


async def left(owner: Any, patient: Person, call_id: str) -> tuple[int, int]:
    """Count the visits of a patient, and the rows of the audit that a call left."""
    visits = "SELECT count(*) FROM appointment WHERE patient_id = $1"
    rows = "SELECT count(*) FROM audit WHERE request_id = $1"
    return await owner.fetchval(visits, patient.user_id), await owner.fetchval(rows, call_id)
