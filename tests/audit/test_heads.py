"""Heads: signed, copied outside, and stronger than whoever holds the database."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from launch.objects import BUCKET, EmbeddedObjects
from launch.postgres import EmbeddedPostgres
from launch.services import Services
from server.audit import sealing
from server.audit.bucket import Bucket
from server.audit.heads import PREFIX, Copying, Folder, NotSigned, Place, Signer, read_all
from server.audit.verify import verify
from server.core.access import Caller
from server.core.clock import MovableClock
from server.core.db import Database
from server.core.keys import Keys
from server.settings import Settings
from server.work import audit_places

OLD, NEW = "an old key of the tests that is long enough", "a new key of the tests that is long too"
REWRITE = "UPDATE audit SET actor_id = NULL WHERE clinic_id = $1 AND seal_number = 2"


@pytest.fixture(scope="module")
async def worker(postgres: EmbeddedPostgres) -> AsyncIterator[Database]:
    database = await Database.connect(postgres.worker_dsn, MovableClock(), size=2)
    yield database
    await database.close()


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedObjects]:
    services = Services(tmp_path_factory.mktemp("services"))
    services.objects.start()
    yield services.objects
    services.stop()


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "folder":
        return Folder(tmp_path / "heads")
    store = request.getfixturevalue("objects")
    return _bucket(store)


def _bucket(store: EmbeddedObjects, secret_key: str = "") -> Bucket:
    secret = secret_key or store.secret_key
    return Bucket(
        BUCKET, url=store.url, region="us-east-1", access_key=store.access_key, secret_key=secret
    )


@pytest.fixture
def signer() -> Signer:
    return Signer(Keys([OLD]))


async def act(committed: Database, clinic_id: Any, count: int = 3) -> None:
    async with committed.transaction(Caller(uuid4(), "patient")) as tx:
        for _ in range(count):
            tx.record("thing.done", uuid4(), clinic_id=clinic_id)


async def seal_and_copy(worker: Database, copying: Copying) -> None:
    while await sealing.seal(worker):
        pass
    while await copying.copy(worker):
        pass


async def seal_anew(power: Any, worker: Database, clinic_id: Any) -> None:
    """Do what a superuser could: forget the seals and the head, and let all be sealed again."""
    await power.execute(
        "UPDATE audit SET seal_number = NULL, seal = NULL WHERE clinic_id = $1", clinic_id
    )
    await power.execute("DELETE FROM audit_head WHERE chain_id = $1", clinic_id)
    while await sealing.seal(worker):
        pass


@pytest.fixture
async def power(postgres: EmbeddedPostgres) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(postgres.superuser_dsn)
    yield connection
    await connection.close()


async def test_heads_are_copied_once_and_agree(
    committed: Database, worker: Database, place: Place, signer: Signer
) -> None:
    clinic, copying = uuid4(), Copying(signer, [place])
    await act(committed, clinic)
    await seal_and_copy(worker, copying)
    names = list(place.names())
    assert await copying.copy(worker) is False
    assert list(place.names()) == names
    copies, unsigned = read_all(place, signer)
    assert unsigned == []
    assert [copy.number for copy in copies if copy.chain_id == clinic] == [3]
    assert (await verify(worker, copies, only=clinic)).faults == []


async def test_a_chain_that_was_written_anew_is_found_by_the_copy_outside(
    committed: Database, worker: Database, power: Any, tmp_path: Path, signer: Signer
) -> None:
    clinic, place = uuid4(), Folder(tmp_path)
    await act(committed, clinic)
    await seal_and_copy(worker, Copying(signer, [place]))
    await power.execute(REWRITE, clinic)
    await seal_anew(power, worker, clinic)
    copies, _ = read_all(place, signer)
    assert (await verify(worker, only=clinic)).faults == []
    (fault,) = (await verify(worker, copies, only=clinic)).faults
    assert (fault.number, fault.what) == (3, "is not what the copy outside says:")


async def test_a_chain_that_is_shorter_than_its_copy_is_found(
    committed: Database, worker: Database, power: Any, tmp_path: Path, signer: Signer
) -> None:
    clinic, place = uuid4(), Folder(tmp_path)
    await act(committed, clinic)
    await seal_and_copy(worker, Copying(signer, [place]))
    await power.execute("DELETE FROM audit WHERE clinic_id = $1", clinic)
    await power.execute("DELETE FROM audit_head WHERE chain_id = $1", clinic)
    (fault,) = (await verify(worker, read_all(place, signer)[0], only=clinic)).faults
    assert fault.number == 1


async def test_a_copy_that_was_changed_is_named(
    committed: Database, worker: Database, tmp_path: Path, signer: Signer
) -> None:
    place = Folder(tmp_path)
    await act(committed, uuid4())
    await seal_and_copy(worker, Copying(signer, [place]))
    (name,) = place.names()
    content = bytearray(place.get(name))
    content[content.index(b'"seal":"') + 8] ^= 1
    (tmp_path / name).write_bytes(content)
    assert read_all(place, signer) == ([], [name])


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"{}\n", b'{"key":"x","signature":"x"}\n', b"\xff"]
)
def test_what_is_no_copy_is_not_signed(signer: Signer, content: bytes) -> None:
    with pytest.raises(NotSigned):
        signer.read(content)


def test_copies_are_read_while_their_key_is_kept(signer: Signer, clock: Any) -> None:
    head: Any = {"chain_id": uuid4(), "last_number": 7, "last_seal": b"seal"}
    content = signer.sign([head], clock.now())
    assert [copy.number for copy in Signer(Keys([NEW, OLD])).read(content)] == [7]
    with pytest.raises(NotSigned):
        Signer(Keys([NEW])).read(content)


def test_a_copy_is_never_written_again(tmp_path: Path) -> None:
    place = Folder(tmp_path)
    place.put(f"{PREFIX}/2026-01-01/1.jsonl", b"x")
    with pytest.raises(FileExistsError):
        place.put(f"{PREFIX}/2026-01-01/1.jsonl", b"y")


async def test_what_could_not_be_copied_is_copied_next_time(
    committed: Database,
    worker: Database,
    objects: EmbeddedObjects,
    signer: Signer,
    tmp_path: Path,
) -> None:
    clinic, place = uuid4(), Folder(tmp_path)
    await act(committed, clinic)
    refused = _bucket(objects, "not its key")
    with pytest.raises(OSError, match="the bucket refuses"):
        await seal_and_copy(worker, Copying(signer, [refused]))
    await seal_and_copy(worker, Copying(signer, [place]))
    assert clinic in {copy.chain_id for copy in read_all(place, signer)[0]}


def test_the_settings_say_where_copies_go(tmp_path: Path) -> None:
    def places(**values: Any) -> list[type]:
        return [type(each) for each in audit_places(Settings(_env_file=None, **values))]

    assert places() == []
    assert places(audit_folder=str(tmp_path), s3_bucket="heads") == [Folder, Bucket]
    assert Copying(Signer(Keys([OLD])), []).jobs() == []
