"""The live queue: what watchers are shown, over both channels, and what it costs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest

from carelane.queue.v1 import queue_pb2, queue_service_pb2_grpc
from carelane.queue.v1 import queue_service_pb2 as pb
from server.core import rpc
from server.core.channel import InProcessChannel
from server.core.db import Database
from server.core.errors import Unavailable
from server.queue import day as days
from server.queue import watching
from server.queue.servicer import QueueServicer
from tests.queue.conftest import Day
from tests.refusal import refused
from tests.rows import Served
from tests.world import Person


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "POLL_SECONDS", 0.2)


class Screen:
    """A stream of a queue; `entries` are as the messages so far say."""

    def __init__(self, call: Any) -> None:
        self.call = call
        self.entries: dict[str, Any] = {}
        self.late_minutes = 0

    async def read(self) -> Any:
        """Take in the next message, and answer it."""
        async with asyncio.timeout(5):
            message = await self.call.read()
        part = message.queue if message.HasField("queue") else message.change
        if message.HasField("queue"):
            self.entries = {}
        self.late_minutes = part.late_minutes
        self.entries |= {entry.appointment_id: entry for entry in part.entries}
        for gone in message.change.removed_appointment_ids:
            del self.entries[gone]
        return message

    def states(self) -> list[int]:
        return sorted(entry.state for entry in self.entries.values())


@pytest.fixture
def served(committed: Database) -> Served:
    """QueueService behind the guard, for as many streams as a caller wants."""
    return Served(
        queue_service_pb2_grpc.add_QueueServiceServicer_to_server,
        QueueServicer(committed),
        queue_service_pb2_grpc.QueueServiceStub,
    )


@asynccontextmanager
async def over_grpc(registry: rpc.Registry) -> AsyncIterator[Any]:
    server = grpc.aio.server()
    registry.attach(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    await server.stop(0)


@pytest.fixture(params=[InProcessChannel, over_grpc], ids=["in-process", "grpc"])
async def stub(request: pytest.FixtureRequest, served: Served) -> AsyncIterator[Any]:
    """The client's side over either channel."""
    async with request.param(served.registry) as channel:
        yield queue_service_pb2_grpc.QueueServiceStub(channel)


def watch(stub: Any, practice_id: UUID, person: Person) -> Screen:
    request = pb.WatchQueueRequest(practice_id=str(practice_id))
    metadata = [("authorization", f"Bearer {person.role} {person.user_id}")]
    return Screen(stub.WatchQueue(request, metadata=metadata))


async def test_first_comes_the_whole_queue_and_then_what_changes(live_day: Day, stub: Any) -> None:
    first, second = [
        await live_day.world.book(
            await live_day.world.person(),
            live_day.practice,
            live_day.begin + number * timedelta(minutes=5),
        )
        for number in range(2)
    ]
    screen = watch(stub, live_day.practice.practice_id, live_day.practice.doctor)
    snapshot = await screen.read()
    assert snapshot.HasField("queue")
    assert screen.states() == [queue_pb2.QUEUE_STATE_EXPECTED] * 2
    await live_day.check_in(first)
    change = await screen.read()
    assert change.HasField("change")
    (entry,) = [each for each in change.change.entries if each.token]
    assert (entry.appointment_id, entry.state) == (
        first.appointment_id,
        queue_pb2.QUEUE_STATE_WAITING,
    )
    fields = {"appointment_id": second.appointment_id}
    await live_day.call("CancelAppointment", **fields)
    while second.appointment_id in screen.entries:
        assert (await screen.read()).HasField("change")
    await live_day.call_next()
    while screen.states() != [queue_pb2.QUEUE_STATE_IN_CONSULTATION]:
        await screen.read()
    screen.call.cancel()


async def test_every_watcher_sees_what_the_queue_is_in_the_end(live_day: Day, stub: Any) -> None:
    world, practice = live_day.world, live_day.practice
    people = [practice.doctor, practice.owner, await world.front_desk(practice)]
    screens = [watch(stub, practice.practice_id, person) for person in people]
    for screen in screens:
        await screen.read()
    for number in range(3):
        start = live_day.begin + number * timedelta(minutes=5)
        await live_day.check_in(await world.book(await world.person(), practice, start))
    await live_day.call_next()
    entries = (await live_day.queue()).entries
    wanted = {entry.appointment_id: entry.state for entry in entries}
    for screen in screens:
        while {key: entry.state for key, entry in screen.entries.items()} != wanted:
            await screen.read()
        screen.call.cancel()


async def test_many_watchers_cost_one_query_at_a_time(
    live_day: Day, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads, read = [], days.read

    async def counted(tx: Any, practice_id: UUID, **zone: Any) -> Any:
        reads.append(practice_id)
        return await read(tx, practice_id, **zone)

    monkeypatch.setattr(days, "read", counted)
    async with InProcessChannel(served.registry) as channel:
        stub = queue_service_pb2_grpc.QueueServiceStub(channel)
        practice = live_day.practice
        screens = [watch(stub, practice.practice_id, practice.doctor) for _ in range(15)]
        for screen in screens:
            await screen.read()
        await asyncio.sleep(2.2 * watching.POLL_SECONDS)
        for screen in screens:
            screen.call.cancel()
        assert 2 <= len(reads) <= 4
        await asyncio.sleep(0.05)
        count = len(reads)
        await asyncio.sleep(1.2 * watching.POLL_SECONDS)
        assert len(reads) == count, "a queue that nobody watches is read"


async def test_a_slow_reader_gets_what_it_missed_as_one_and_keeps_nothing_open(
    live_day: Day, owner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "POLL_SECONDS", 0.01)
    db, practice = live_day.world.db, live_day.practice
    async with db.transaction(practice.doctor.caller) as tx:
        found = await days.find_practice(tx, practice.practice_id)
    seen = watching.Watching(db)
    async with aclosing(seen.steps(found, never)) as steps:
        first = await anext(steps)
        for minutes in range(1, 21):
            fields = {"practice_id": practice.practice_id, "late_minutes": minutes}
            await live_day.call("RunningLate", **fields)
        await asyncio.sleep(0.1)
        lasting = "state LIKE 'idle in%' AND xact_start < now() - interval '0.1 s'"
        assert not await owner.fetch(f"SELECT FROM pg_stat_activity WHERE {lasting}")
        second = await anext(steps)
    assert (first.before, second.before) == (None, first.after)
    assert second.after.queue.late is not None
    assert second.after.queue.late.minutes == 20


async def never() -> None:
    """Refuse nobody."""


async def test_strangers_do_not_watch(live_day: Day, stub: Any) -> None:
    world, practice_id = live_day.world, live_day.practice.practice_id
    other, colleague = await world.practice(), await world.person("doctor")
    await world.member(live_day.practice.owner, live_day.practice.clinic_id, colleague, "doctor")
    for stranger in (await world.person(), other.doctor, other.owner, colleague):
        refusal = await refused(watch(stub, practice_id, stranger).read())
        unknown = await refused(watch(stub, uuid4(), stranger).read())
        assert refusal.code is grpc.StatusCode.NOT_FOUND
        assert (refusal.reason, refusal.text) == (unknown.reason, unknown.text)


async def test_watching_needs_a_token_and_a_proper_id(live_day: Day, stub: Any) -> None:
    request = pb.WatchQueueRequest(practice_id=str(live_day.practice.practice_id))
    refusal = await refused(stub.WatchQueue(request).read())
    assert refusal.code is grpc.StatusCode.UNAUTHENTICATED
    doctor = live_day.practice.doctor
    metadata = [("authorization", f"Bearer {doctor.role} {doctor.user_id}")]
    call = stub.WatchQueue(pb.WatchQueueRequest(practice_id="7"), metadata=metadata)
    assert "practice_id" in (await refused(call.read())).fields


async def test_who_may_not_see_it_any_more_is_shown_no_more(
    live_day: Day, stub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "RECHECK_SECONDS", 0.2)
    world, practice = live_day.world, live_day.practice
    desk = await world.front_desk(practice)
    screen = watch(stub, practice.practice_id, desk)
    await screen.read()
    await world.call(
        "RemoveClinicMember",
        practice.owner,
        request_id=uuid4(),
        clinic_id=practice.clinic_id,
        user_id=desk.user_id,
    )
    assert (await refused(screen.read())).code is grpc.StatusCode.NOT_FOUND


async def test_a_server_that_goes_down_ends_the_streams(
    live_day: Day, stub: Any, served: Served
) -> None:
    screen = watch(stub, live_day.practice.practice_id, live_day.practice.doctor)
    await screen.read()
    served.registry.drain()
    assert (await refused(screen.read())).code is grpc.StatusCode.UNAVAILABLE


async def test_a_read_that_fails_ends_the_streams_and_the_next_watcher_begins_anew(
    live_day: Day, stub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    practice = live_day.practice
    screens = [watch(stub, practice.practice_id, practice.doctor) for _ in range(2)]
    for screen in screens:
        await screen.read()

    async def fail(tx: Any, practice_id: UUID, **zone: Any) -> Any:
        raise Unavailable

    with monkeypatch.context() as broken:
        broken.setattr(days, "read", fail)
        for screen in screens:
            assert (await refused(screen.read())).reason == "UNAVAILABLE"
    again = watch(stub, practice.practice_id, practice.doctor)
    assert (await again.read()).HasField("queue")
    again.call.cancel()
