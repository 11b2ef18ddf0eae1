"""What a seal is made of: each row of a chain holds the hash of itself and of all before it.

    seal = SHA-256("carelane audit 1\\n" + seal of the row before + "\\n" + row)

The row is a JSON list of its number and COLUMNS without spaces: ids and instants as text (RFC 3339,
UTC), and as text, too, `changes` as PostgreSQL writes it, whatever somebody may have put into it.
The first row of a chain goes on from an empty seal.
"""

import hashlib
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from sqlalchemy import Text, cast

from server.core.schema import Audit

PLATFORM = UUID(int=0)
"""The chain of what belongs to no clinic."""
START = b""
COLUMNS = (
    "audit_id",
    "create_time",
    "actor_id",
    "on_behalf_of_id",
    "action",
    "subject_id",
    "clinic_id",
    "patient_ids",
    "fields",
    "changes",
    "request_id",
)
SELECTED = tuple(
    cast(Audit.changes, Text).label(name) if name == "changes" else getattr(Audit, name)
    for name in COLUMNS
)


def chain_of(row: Mapping[str, Any] | asyncpg.Record) -> UUID:
    """Answer the chain that a row belongs to."""
    return row["clinic_id"] or PLATFORM


def seal_of(before: bytes, number: int, row: Mapping[str, Any] | asyncpg.Record) -> bytes:
    """Answer the seal of the `number`th row of a chain, which goes on from the seal `before`."""
    values = [number, *(row[name] for name in COLUMNS)]
    written = orjson.dumps(values, default=str)
    return hashlib.sha256(b"carelane audit 1\n" + before + b"\n" + written).digest()
