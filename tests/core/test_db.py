"""Transactions: the caller's settings, the write path, repeats and races."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from sqlalchemy import bindparam, func, select, text

from carelane.directory.v1 import directory_service_pb2 as pb
from server.core.access import ANONYMOUS, Caller
from server.core.db import Database, Feed, Lock, RequestIdReused, sql
from server.core.errors import Conflict, Replay, Serialization, Unavailable
from server.core.schema import Audit

WHO = sql(select(func.app_user().label("user"), func.app_admin().label("admin")))
SLOW = sql(select(func.pg_sleep(bindparam("seconds"))))
ACTIONS = sql(
    select(Audit.action).where(Audit.subject_id == bindparam("subject")).order_by(Audit.audit_id)
)


def patient() -> Caller:
    return Caller(uuid4(), "patient", uuid4())


def request(request_id: UUID, name: str = "Dr. A") -> pb.UpsertDoctorProfileRequest:
    return pb.UpsertDoctorProfileRequest(request_id=str(request_id), full_name=name)


def answer(name: str) -> pb.UpsertDoctorProfileResponse:
    response = pb.UpsertDoctorProfileResponse()
    response.profile.doctor.full_name = name
    return response


async def owner_rows(postgres: Any, query: str, *values: Any) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(postgres.owner_dsn)
    try:
        return await connection.fetch(query, *values)
    finally:
        await connection.close()


async def test_a_transaction_runs_in_the_name_of_its_caller(db: Database) -> None:
    caller = patient()
    async with db.transaction(caller) as tx:
        row = await tx.one(WHO)
    assert row is not None
    assert (row["user"], row["admin"]) == (caller.user_id, None)


async def test_only_an_administrator_is_one(db: Database) -> None:
    caller = Caller(uuid4(), "admin")
    async with db.transaction(caller) as tx:
        row = await tx.one(WHO)
    assert row is not None
    assert row["admin"] == caller.user_id


async def test_nobody_is_left_on_a_connection_after_a_transaction(committed: Database) -> None:
    async with committed.transaction(patient()) as tx:
        await tx.one(WHO)
    rows = await asyncio.gather(*(committed.one(WHO) for _ in range(20)))
    assert {row["user"] for row in rows if row} == {None}


async def test_a_change_writes_audit_outbox_and_feed_together(
    committed: Database, postgres: Any
) -> None:
    caller, clinic, thing = patient(), uuid4(), uuid4()
    async with committed.transaction(caller, request_id="r-1") as tx:
        tx.record(
            "appointment.booked",
            thing,
            clinic_id=clinic,
            fields=("status",),
            event={"patient_id": caller.user_id},
            feed=Feed("appointment", thing, {"status": "booked"}),
        )
    audit = await owner_rows(postgres, "SELECT * FROM audit WHERE subject_id = $1", thing)
    outbox = await owner_rows(postgres, "SELECT * FROM outbox WHERE subject_id = $1", thing)
    feed = await owner_rows(postgres, "SELECT * FROM feed_entry WHERE clinic_id = $1", clinic)
    assert [(row["actor_id"], row["request_id"], row["fields"]) for row in audit] == [
        (caller.user_id, "r-1", ["status"])
    ]
    assert [row["topic"] for row in outbox] == ["appointment.booked"]
    assert [(row["revision"], row["thing_id"]) for row in feed] == [(1, thing)]


async def test_a_failed_transaction_leaves_nothing(committed: Database, postgres: Any) -> None:
    thing = uuid4()
    with pytest.raises(ValueError, match="changed my mind"):
        async with committed.transaction(patient()) as tx:
            tx.record("appointment.booked", thing, event={})
            raise ValueError("changed my mind")
    assert not await owner_rows(postgres, "SELECT 1 FROM audit WHERE subject_id = $1", thing)


async def test_revisions_of_a_clinic_are_contiguous_under_many_writers(
    committed: Database, postgres: Any
) -> None:
    clinic = uuid4()

    async def write() -> None:
        async with committed.transaction(patient()) as tx:
            for _ in range(3):
                tx.record("x", uuid4(), clinic_id=clinic, feed=Feed("rule", uuid4(), {"a": 1}))

    await asyncio.gather(*(write() for _ in range(40)))
    rows = await owner_rows(
        postgres, "SELECT revision FROM feed_entry WHERE clinic_id = $1 ORDER BY 1", clinic
    )
    assert [row["revision"] for row in rows] == list(range(1, 121))


async def test_a_deletion_in_the_feed_has_no_state(committed: Database, postgres: Any) -> None:
    clinic = uuid4()
    async with committed.transaction(patient()) as tx:
        tx.record("x", uuid4(), clinic_id=clinic, feed=Feed("rule", uuid4(), None))
    rows = await owner_rows(postgres, "SELECT state FROM feed_entry WHERE clinic_id = $1", clinic)
    assert [row["state"] for row in rows] == [None]


async def test_a_repeated_request_gets_the_stored_answer(db: Database) -> None:
    caller, once = patient(), request(uuid4())
    async with db.transaction(caller, once=once) as tx:
        tx.answer(answer("first"))
    with pytest.raises(Replay) as replay:
        async with db.transaction(caller, once=once) as tx:
            tx.answer(answer("second"))
    assert replay.value.response == answer("first").SerializeToString()


async def test_a_request_id_with_other_contents_is_refused(db: Database) -> None:
    caller, request_id = patient(), uuid4()
    async with db.transaction(caller, once=request(request_id)) as tx:
        tx.answer(answer("first"))
    with pytest.raises(RequestIdReused):
        async with db.transaction(caller, once=request(request_id, "Dr. B")) as tx:
            tx.answer(answer("second"))


async def test_a_request_id_is_the_same_in_capitals(db: Database) -> None:
    caller, once = patient(), request(uuid4())
    async with db.transaction(caller, once=once) as tx:
        tx.answer(answer("first"))
    once.request_id = once.request_id.upper()
    with pytest.raises(Replay):
        async with db.transaction(caller, once=once):
            pass


async def test_the_same_request_id_of_another_person_is_another_request(db: Database) -> None:
    once = request(uuid4())
    for _ in range(2):
        async with db.transaction(patient(), once=once) as tx:
            tx.answer(answer("mine"))


async def test_a_refused_request_can_be_repeated(db: Database) -> None:
    caller, once = patient(), request(uuid4())
    with pytest.raises(ValueError, match="refused"):
        async with db.transaction(caller, once=once):
            raise ValueError("refused")
    async with db.transaction(caller, once=once) as tx:
        tx.answer(answer("now"))


async def test_racing_repeats_have_one_effect_and_one_answer(
    committed: Database, postgres: Any
) -> None:
    caller, once, thing = patient(), request(uuid4()), uuid4()

    async def call(number: int) -> bytes:
        try:
            async with committed.transaction(caller, once=once) as tx:
                tx.record("raced", thing)
                return tx.answer(answer(str(number))).SerializeToString()
        except Replay as replay:
            return replay.response

    answers = await asyncio.gather(*(call(number) for number in range(20)))
    rows = await owner_rows(postgres, "SELECT 1 FROM audit WHERE subject_id = $1", thing)
    assert len(set(answers)) == 1
    assert len(rows) == 1


async def test_a_request_id_transaction_without_an_answer_is_a_defect(db: Database) -> None:
    with pytest.raises(TypeError, match="answer"):
        async with db.transaction(patient(), once=request(uuid4())):
            pass


async def test_a_deadlock_asks_the_guard_for_another_try(committed: Database) -> None:
    first, second = uuid4(), uuid4()
    lock = "SELECT pg_advisory_xact_lock(hashtext({}))"
    both = asyncio.Barrier(2)

    async def cross(a: UUID, b: UUID) -> None:
        async with committed.transaction(ANONYMOUS, lock=Lock(lock, a)) as tx:
            await both.wait()
            await tx.one(sql(select(func.pg_advisory_xact_lock(func.hashtext(str(b))))))

    results = await asyncio.gather(
        cross(first, second), cross(second, first), return_exceptions=True
    )
    assert [type(result) for result in results if result] == [Serialization]


def test_a_lock_takes_nothing_but_uuids() -> None:
    with pytest.raises(TypeError, match="UUID"):
        Lock("SELECT {}", "'; DROP TABLE audit")  # type: ignore[arg-type]


async def test_a_database_that_is_not_there_is_unavailable(clock: Any) -> None:
    with pytest.raises(Unavailable):
        await Database.connect("postgresql://nobody@127.0.0.1:1/none", clock)


async def test_a_connection_that_the_server_ended_while_it_was_idle_is_unavailable(
    postgres: Any, clock: Any
) -> None:
    database = await Database.connect(postgres.app_dsn, clock, size=1)
    async with database._pool.acquire() as connection:
        protocol = connection._protocol
    ended = b"SFATAL\0VFATAL\0C57P02\0Mthe server is going down\0\0"
    protocol.data_received(b"E" + (len(ended) + 4).to_bytes(4) + ended)
    with pytest.raises(Unavailable):
        async with database.transaction(patient()) as tx:
            await tx.one(WHO)
    assert await database.one(WHO)
    await database.close()


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.QueryCanceledError,
        asyncpg.ReadOnlySQLTransactionError,
        asyncpg.AdminShutdownError,
        asyncpg.TooManyConnectionsError,
        ConnectionResetError,
        TimeoutError,
    ],
)
async def test_what_passes_by_itself_is_unavailable(db: Database, error: type[Exception]) -> None:
    with pytest.raises(Unavailable):
        async with db.transaction(patient()):
            raise error("for a while")


async def test_a_lock_that_is_not_had_in_time_is_a_conflict(db: Database) -> None:
    with pytest.raises(Conflict) as refusal:
        async with db.transaction(patient()):
            raise asyncpg.LockNotAvailableError("for ten seconds")
    assert refusal.value.retry_after


@pytest.mark.parametrize("failure", [asyncio.CancelledError, ValueError])
async def test_a_connection_that_is_lost_does_not_hide_what_failed(
    postgres: Any, clock: Any, failure: type[BaseException]
) -> None:
    database = await Database.connect(postgres.app_dsn, clock, size=1)
    with pytest.raises(failure):
        async with database.transaction(patient()) as tx:
            tx._connection.terminate()
            raise failure
    assert await database.one(WHO)
    await database.close()


async def test_who_waits_for_a_lock_gives_up(postgres: Any, clock: Any) -> None:
    database = await Database.connect(postgres.app_dsn, clock, size=1)
    row = await database.one(sql(select(func.current_setting("lock_timeout").label("patience"))))
    await database.close()
    assert row is not None
    assert row["patience"] == "10s"


async def test_a_moved_clock_moves_the_database_too(db: Database, clock: Any) -> None:
    clock.advance(timedelta(days=3))
    async with db.transaction() as tx:
        row = await tx.one(sql(select(func.app_now().label("now"))))
        assert row is not None
        assert abs(row["now"] - tx.now) < timedelta(seconds=10)


async def test_the_application_role_cannot_read_what_others_are_told(db: Database) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await db.one(sql(select(text("1")).select_from(text("outbox"))))
