"""Feeds: secret addresses at which calendar programs read a person's visits."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import asyncpg
from sqlalchemy import LargeBinary, Text, Uuid, bindparam, column, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from server.appointment import lists
from server.calendar.models import CalendarFeed
from server.core.access import Caller
from server.core.db import Reader, Transaction, sql
from server.core.errors import NotFound

PAST = timedelta(days=30)
DAYS = 400
MOST = 2000

_INSERT = insert(CalendarFeed).values(
    user_id=bindparam("owner"), token_hash=bindparam("hash"), create_time=bindparam("now")
)
PUT = sql(
    _INSERT.on_conflict_do_update(
        index_elements=["user_id"],
        set_={
            "token_hash": _INSERT.excluded.token_hash,
            "create_time": _INSERT.excluded.create_time,
        },
    ).returning(CalendarFeed.create_time)
)
FIND = sql(select(CalendarFeed.create_time).where(CalendarFeed.user_id == bindparam("owner")))
REMOVE = sql(delete(CalendarFeed).where(CalendarFeed.user_id == bindparam("owner")))
OWNER = sql(
    select("*").select_from(
        func.find_calendar_feed(bindparam("hash", type_=LargeBinary)).table_valued(
            column("user_id", Uuid), column("role", Text)
        )
    )
)


class Secrets:
    """Makes the secrets of feeds out of a key, so that a repeated request gets the same one."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def token(self, caller: Caller, request_id: str) -> str:
        """Answer the secret that a request of a person makes."""
        made = hmac.digest(self._key, f"{caller.user_id}\0{request_id.lower()}".encode(), "sha256")
        return base64.urlsafe_b64encode(made).rstrip(b"=").decode()


async def find(tx: Transaction) -> asyncpg.Record:
    """Read the caller's feed; NotFound without one."""
    row = await tx.one(FIND, owner=tx.user_id)
    if row is None:
        raise NotFound("You have no calendar feed.")
    return row


async def rotate(tx: Transaction, token: str) -> asyncpg.Record:
    """Give the caller a feed with this secret in place of the one before."""
    (row,) = await tx.all(PUT, owner=tx.user_id, hash=_hash(token), now=tx.now)
    tx.record("calendar_feed.rotated", tx.user_id, fields=("token_hash",))
    return row


async def revoke(tx: Transaction) -> None:
    """End the caller's feed, if there is one."""
    if await tx.run(REMOVE, owner=tx.user_id):
        tx.record("calendar_feed.revoked", tx.user_id)


async def owner_of(reader: Reader, token: str) -> Caller:
    """Answer in whose name a secret reads; NotFound when it is none of a feed."""
    row = await reader.one(OWNER, hash=_hash(token))
    if row is None:
        raise NotFound("There is no such feed.")
    return Caller(row["user_id"], row["role"])


async def visits(tx: Transaction) -> Sequence[Any]:
    """Read the visits of the feed of the caller: a doctor's or a patient's, by start."""
    since = tx.now - PAST
    if tx.caller.role == "doctor":
        return await lists.of_clinic(
            tx,
            doctor_id=tx.user_id,
            clinic_id=None,
            first=since.date(),
            days=DAYS,
            statuses=(),
            after=None,
            size=MOST,
        )
    return await lists.of_patient(
        tx, statuses=(), since=since, until=None, latest=False, after=None, size=MOST
    )


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
