"""Seals: rows are chained, nobody can go back on one, and what was changed is found."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from sqlalchemy import func, select
from typer.testing import CliRunner

from launch.cli import app
from launch.postgres import EmbeddedPostgres
from server.audit import sealing
from server.audit.verify import Report, verify
from server.core.access import Caller
from server.core.clock import MovableClock
from server.core.db import Database
from server.core.schema import Audit

NUMBERS = "SELECT seal_number FROM audit WHERE clinic_id = $1 ORDER BY seal_number"
MANY = """
INSERT INTO audit (actor_id, action, subject_id, clinic_id, patient_ids, fields, changes)
SELECT new_id(), 'thing.done', new_id(), ($1::uuid[])[1 + i % 50], ARRAY[new_id()], '{status}',
       '{"status": [null, "booked"]}' FROM generate_series(1, 200) i
"""
EDITS = {
    "one byte of an act": "UPDATE audit SET action = 'thing.dome' WHERE {row}",
    "one byte of an id": "UPDATE audit SET subject_id = gen_random_uuid() WHERE {row}",
    "who it was": "UPDATE audit SET actor_id = NULL WHERE {row}",
    "a microsecond": "UPDATE audit SET create_time = create_time + '1 us' WHERE {row}",
    "whose data": "UPDATE audit SET patient_ids = NULL WHERE {row}",
    "a value": 'UPDATE audit SET changes = \'{{"status": [null, "c"]}}\' WHERE {row}',
    "a number that is none": "UPDATE audit SET changes = '{{\"a\": 1e400}}' WHERE {row}",
    "a name of a field": "UPDATE audit SET fields = '{{}}' WHERE {row}",
    "the request": "UPDATE audit SET request_id = 'another' WHERE {row}",
    "on behalf of": "UPDATE audit SET on_behalf_of_id = subject_id WHERE {row}",
    "the seal": "UPDATE audit SET seal = sha256('x') WHERE {row}",
    "another clinic": "UPDATE audit SET clinic_id = gen_random_uuid() WHERE {row}",
    "deleted": "DELETE FROM audit WHERE {row}",
    "swapped": "UPDATE audit SET seal_number = seal_number + 1000"
    " WHERE clinic_id = '{clinic}' AND seal_number IN (4, 5);"
    "UPDATE audit SET seal_number = 1009 - seal_number"
    " WHERE clinic_id = '{clinic}' AND seal_number > 1000",
    "inserted": "UPDATE audit SET seal_number = seal_number + 1000"
    " WHERE clinic_id = '{clinic}' AND seal_number >= 4;"
    "UPDATE audit SET seal_number = seal_number - 999"
    " WHERE clinic_id = '{clinic}' AND seal_number > 1000;"
    "INSERT INTO audit (action, subject_id, clinic_id, fields, seal_number, seal)"
    " VALUES ('thing.done', gen_random_uuid(), '{clinic}', '{{}}', 4, sha256('x'))",
}


class Chain:
    """A clinic's chain of eight rows, sealed, and a connection that may do anything to it."""

    def __init__(self, database: Database, power: Any, clinic_id: UUID) -> None:
        self.database, self.power, self.clinic_id = database, power, clinic_id

    async def verify(self) -> Report:
        return await verify(self.database, only=self.clinic_id)

    async def edit(self, statements: str) -> None:
        row = f"clinic_id = '{self.clinic_id}' AND seal_number = 4"
        await self.power.execute(statements.format(row=row, clinic=self.clinic_id))


async def act(committed: Database, clinic_id: UUID | None, count: int = 1) -> None:
    """Do something so many times, each in a transaction of its own."""
    for _ in range(count):
        async with committed.transaction(Caller(uuid4(), "patient"), request_id="r") as tx:
            fields = {"status": ("booked", "cancelled"), "reason": None}
            whose = {"clinic_id": clinic_id, "patients": [tx.user_id]}
            tx.record("thing.done", uuid4(), **whose, fields=fields)


async def seal_all(database: Database, size: int = sealing.BATCH) -> None:
    while await sealing.seal(database, size):
        pass


@pytest.fixture(scope="module")
async def worker(postgres: EmbeddedPostgres) -> AsyncIterator[Database]:
    database = await Database.connect(postgres.worker_dsn, MovableClock(), size=4)
    yield database
    await database.close()


@pytest.fixture
async def power(postgres: EmbeddedPostgres) -> AsyncIterator[Any]:
    """A connection of the superuser."""
    connection = await asyncpg.connect(postgres.superuser_dsn)
    yield connection
    await connection.close()


@pytest.fixture
async def chain(committed: Database, worker: Database, power: Any) -> AsyncIterator[Chain]:
    made = Chain(worker, power, uuid4())
    await act(committed, made.clinic_id, 8)
    await seal_all(worker)
    yield made
    await power.execute("DELETE FROM audit WHERE clinic_id = $1", made.clinic_id)
    await power.execute("DELETE FROM audit_head WHERE chain_id = $1", made.clinic_id)


async def test_what_is_sealed_and_untouched_is_found_whole(chain: Chain) -> None:
    report = await chain.verify()
    assert (report.faults, report.rows, report.chains) == ([], 8, 1)


@pytest.mark.parametrize("what", EDITS)
async def test_whatever_is_changed_is_found_at_its_row(chain: Chain, what: str) -> None:
    await chain.edit(EDITS[what])
    (fault,) = (await chain.verify()).faults
    assert (fault.chain_id, fault.number) == (chain.clinic_id, 4)


async def test_an_edit_that_is_taken_back_is_no_edit(chain: Chain) -> None:
    await chain.edit("UPDATE audit SET action = 'thing.dome' WHERE {row}")
    await chain.edit("UPDATE audit SET action = 'thing.done' WHERE {row}")
    assert (await chain.verify()).faults == []


async def test_an_end_that_is_cut_off_is_found(chain: Chain) -> None:
    await chain.edit("DELETE FROM audit WHERE clinic_id = '{clinic}' AND seal_number > 6")
    (fault,) = (await chain.verify()).faults
    assert (fault.number, fault.row) == (7, None)


async def test_a_chain_that_is_gone_is_found(chain: Chain) -> None:
    await chain.edit("DELETE FROM audit WHERE clinic_id = '{clinic}'")
    (fault,) = (await chain.verify()).faults
    assert fault.number == 1


async def test_rows_behind_the_head_are_found(chain: Chain) -> None:
    await chain.edit("UPDATE audit_head SET last_number = 7 WHERE chain_id = '{clinic}'")
    (fault,) = (await chain.verify()).faults
    assert fault.number in {7, 8}


async def test_what_comes_later_is_sealed_behind(chain: Chain, committed: Database) -> None:
    await act(committed, chain.clinic_id, 2)
    await seal_all(chain.database)
    assert (await chain.verify()).rows == 10


async def test_a_row_that_is_committed_late_is_sealed_nevertheless(
    chain: Chain, committed: Database
) -> None:
    async with committed.transaction(Caller(uuid4(), "patient")) as early:
        early.record("thing.begun", uuid4(), clinic_id=chain.clinic_id)
        await act(committed, chain.clinic_id)
        await seal_all(chain.database)
    await seal_all(chain.database)
    report = await chain.verify()
    assert (report.faults, report.rows) == ([], 10)


async def test_what_has_no_seal_yet_is_told(chain: Chain, committed: Database) -> None:
    before = await chain.verify()
    await act(committed, chain.clinic_id, 3)
    after = await chain.verify()
    assert after.unsealed == before.unsealed + 3
    assert after.unsealed_since is not None
    assert (after.faults, after.rows) == ([], 8)


async def test_sealers_at_once_make_one_chain(
    committed: Database, worker: Database, power: Any
) -> None:
    clinics = [uuid4(), uuid4(), None]
    await asyncio.gather(*(act(committed, clinic, 60) for clinic in clinics))
    await asyncio.gather(*(seal_all(worker, size=25) for _ in range(4)))
    for clinic in filter(None, clinics):
        rows = await power.fetch(NUMBERS, clinic)
        assert [row["seal_number"] for row in rows] == list(range(1, 61))
        assert (await verify(worker, only=clinic)).faults == []
    assert (await verify(worker, only=UUID(int=0))).faults == []


@pytest.mark.deep
async def test_sealing_keeps_up_with_two_thousand_rows_a_second(
    worker: Database, power: Any
) -> None:
    clinics = [uuid4() for _ in range(50)]
    done, most = asyncio.Event(), 0

    async def write() -> None:
        clock = asyncio.get_running_loop().time
        begin = clock()
        for turn in range(1, 51):
            await power.execute(MANY, clinics)
            await asyncio.sleep(begin + turn / 10 - clock())
        done.set()

    async def look() -> int:
        async with worker.transaction() as tx:
            row = await tx.one(sealing.sql(select(func.count()).where(Audit.seal_number.is_(None))))
        return int(row[0]) if row else 0

    writing = asyncio.create_task(write())
    while not done.is_set():
        await seal_all(worker)
        await asyncio.sleep(sealing.INTERVAL_SECONDS)
        most = max(most, await look())
    await writing
    await seal_all(worker)
    assert most < 3 * 2000
    rows = await power.fetchval(
        "SELECT count(*) FROM audit WHERE clinic_id = ANY ($1) AND seal IS NOT NULL", clinics
    )
    assert rows == 50 * 200


async def test_the_database_refuses_a_fork(chain: Chain) -> None:
    with pytest.raises(asyncpg.UniqueViolationError):
        await chain.edit("UPDATE audit SET seal_number = 5 WHERE {row}")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET seal = sha256('x')",
        "UPDATE audit SET seal_number = 99",
        "UPDATE audit SET seal_number = NULL, seal = NULL",
    ],
)
async def test_background_work_changes_no_seal_that_is_there(
    chain: Chain, postgres: EmbeddedPostgres, statement: str
) -> None:
    connection = await asyncpg.connect(postgres.worker_dsn)
    try:
        status = await connection.execute(f"{statement} WHERE clinic_id = $1", chain.clinic_id)
    finally:
        await connection.close()
    assert status == "UPDATE 0"


@pytest.mark.parametrize("role", ["app", "worker"])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET action = 'x'",
        "DELETE FROM audit",
        "INSERT INTO audit (action, subject_id, fields) VALUES ('x', new_id(), '{}')",
        "TRUNCATE audit",
        "DELETE FROM audit_head",
    ],
)
async def test_nobody_who_runs_rewrites_the_audit(
    postgres: EmbeddedPostgres, role: str, statement: str
) -> None:
    connection = await asyncpg.connect(getattr(postgres, f"{role}_dsn"))
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    finally:
        await connection.close()


def test_the_command_says_that_all_is_well_or_what_is_not(
    postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic = uuid4()
    asyncio.run(_sealed_rows(postgres, clinic))
    monkeypatch.setenv("WORKER_DATABASE_URL", postgres.worker_dsn)
    monkeypatch.setenv("DATABASE_URL", postgres.app_dsn)
    command = ["audit", "verify", "--clinic", str(clinic)]
    whole = CliRunner().invoke(app, command)
    assert (whole.exit_code, "3 rows in 1 chains are as sealed" in whole.output) == (0, True)
    asyncio.run(_forget_second(postgres, clinic))
    broken = CliRunner().invoke(app, command)
    assert broken.exit_code == 1
    assert "row 2 is missing" in " ".join(broken.output.split())


async def _sealed_rows(postgres: EmbeddedPostgres, clinic: UUID) -> None:
    database = await Database.connect(postgres.app_dsn, MovableClock(), size=1)
    await act(database, clinic, 3)
    await database.close()
    database = await Database.connect(postgres.worker_dsn, MovableClock(), size=1)
    await seal_all(database)
    await database.close()


async def _forget_second(postgres: EmbeddedPostgres, clinic: UUID) -> None:
    connection = await asyncpg.connect(postgres.owner_dsn)
    await connection.execute("DELETE FROM audit WHERE clinic_id = $1 AND seal_number = 2", clinic)
    await connection.close()
