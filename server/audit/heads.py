"""The heads of the chains, signed and copied to where those who hold the database do not reach.

Each copy is a new object that is never written again: JSON lines, one for each head that has moved
since the copy before, then one with the Ed25519 signature over them and the name of its key.
"""

import asyncio
import base64
import binascii
import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol
from uuid import UUID

import asyncpg
import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import BigInteger, Uuid, bindparam, column, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY

from server.audit.models import AuditHead
from server.audit.verify import Copy
from server.core.db import Database, sql
from server.core.jobs import Job
from server.core.keys import Keys

INTERVAL_SECONDS = 60.0
MOST = 5000
PREFIX = "audit-heads"
_PURPOSE = "audit head"

_given = (
    func.unnest(
        bindparam("chains", type_=ARRAY(Uuid)), bindparam("numbers", type_=ARRAY(BigInteger))
    )
    .table_valued(column("chain_id", Uuid), column("number", BigInteger), name="given")
    .render_derived()
)
MOVED = sql(
    select(AuditHead)
    .where(AuditHead.copied_number < AuditHead.last_number)
    .order_by(AuditHead.chain_id)
    .limit(MOST)
)
NOTE_COPIED = sql(
    update(AuditHead)
    .where(AuditHead.chain_id == _given.c.chain_id, AuditHead.copied_number < _given.c.number)
    .values(copied_number=_given.c.number)
)


class Place(Protocol):
    """Where copies are kept; it only ever gains objects. All of it raises OSError."""

    def put(self, name: str, content: bytes) -> None:
        """Keep a new object."""

    def names(self) -> Iterable[str]:
        """Answer the names of all objects, the oldest first."""

    def get(self, name: str) -> bytes:
        """Answer an object."""


class Folder:
    """A folder, which had better be another machine's."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def put(self, name: str, content: bytes) -> None:
        target = self._path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            file.write(content)

    def names(self) -> Iterable[str]:
        found = self._path.glob(f"{PREFIX}/*/*.jsonl")
        return sorted(str(each.relative_to(self._path)) for each in found)

    def get(self, name: str) -> bytes:
        return (self._path / name).read_bytes()


class NotSigned(Exception):
    """A copy is not what was signed, or its key is not among those of the settings."""


class Signer:
    """Signs copies with the first key, and knows those of all keys."""

    def __init__(self, keys: Keys) -> None:
        derived = zip(keys.names(_PURPOSE), keys.derive(_PURPOSE), strict=True)
        self._keys = {name: Ed25519PrivateKey.from_private_bytes(key) for name, key in derived}
        self._current = next(iter(self._keys))

    def sign(self, heads: Sequence[asyncpg.Record], now: datetime) -> bytes:
        """Write a copy of `heads`."""
        lines = b"".join(_line(head, now) for head in heads)
        signature = base64.b64encode(self._keys[self._current].sign(lines)).decode()
        return lines + orjson.dumps({"key": self._current, "signature": signature}) + b"\n"

    def read(self, content: bytes) -> list[Copy]:
        """Answer the heads of a copy; NotSigned when it is not one of ours."""
        lines, _, last = content.removesuffix(b"\n").rpartition(b"\n")
        lines += b"\n"
        try:
            seal = orjson.loads(last)
            key, signature = self._keys[seal["key"]], base64.b64decode(seal["signature"])
            key.public_key().verify(signature, lines)
        except (InvalidSignature, LookupError, TypeError, ValueError, binascii.Error):
            raise NotSigned from None
        return [_copy(line) for line in lines.splitlines()]


class Copying:
    """The job that copies what moved, about once a minute."""

    def __init__(self, signer: Signer, places: Sequence[Place]) -> None:
        self._signer = signer
        self._places = places

    def jobs(self) -> list[Job]:
        """Answer the job; none where there is no place to copy to."""
        return [Job("audit_heads", INTERVAL_SECONDS, self.copy)] if self._places else []

    async def copy(self, database: Database) -> bool:
        """Copy the heads that moved; True when more are left. What fails is copied next time."""
        async with database.transaction() as tx:
            heads, now = await tx.all(MOVED), tx.now
        if not heads:
            return False
        content = self._signer.sign(heads, now)
        name = f"{PREFIX}/{now:%Y-%m-%d}/{now:%H%M%S%f}-{secrets.token_hex(4)}.jsonl"
        for place in self._places:
            await asyncio.to_thread(place.put, name, content)
        chains = [head["chain_id"] for head in heads]
        numbers = [head["last_number"] for head in heads]
        async with database.transaction() as tx:
            await tx.run(NOTE_COPIED, chains=chains, numbers=numbers)
        return len(heads) == MOST


def read_all(place: Place, signer: Signer) -> tuple[list[Copy], list[str]]:
    """Answer the heads of all copies, and the names of those that are not what was signed."""
    copies: list[Copy] = []
    unsigned: list[str] = []
    for name in place.names():
        try:
            copies += signer.read(place.get(name))
        except NotSigned:
            unsigned.append(name)
    return copies, unsigned


def _line(head: asyncpg.Record, now: datetime) -> bytes:
    values = {
        "chain_id": str(head["chain_id"]),
        "number": head["last_number"],
        "seal": head["last_seal"].hex(),
        "time": now,
    }
    return orjson.dumps(values) + b"\n"


def _copy(line: bytes) -> Copy:
    values = orjson.loads(line)
    return Copy(UUID(values["chain_id"]), values["number"], bytes.fromhex(values["seal"]))
