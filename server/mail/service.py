"""Asking for a letter to be sent."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import bindparam, delete
from sqlalchemy.dialects.postgresql import insert

from server.core.db import Transaction, sql
from server.core.outbox import Event
from server.mail.models import Mail

LASTING = timedelta(days=3)
"""How long it is tried to send a letter."""

POST = sql(
    insert(Mail)
    .values(
        outbox_id=bindparam("event"),
        kind=bindparam("what"),
        channel=bindparam("way"),
        user_id=bindparam("user"),
        address=bindparam("to"),
        subject_id=bindparam("subject"),
        create_time=bindparam("now"),
        due_time=bindparam("now"),
        expire_time=bindparam("until"),
    )
    .on_conflict_do_nothing()
    .inline()
)
FORGET = sql(delete(Mail).where(Mail.user_id == bindparam("user")))


async def post(
    tx: Transaction,
    event: Event,
    kind: str,
    subject_id: UUID,
    *,
    user_id: UUID | None = None,
    address: str | None = None,
    channel: str = "email",
    lasting: timedelta = LASTING,
) -> None:
    """Have a letter sent, once however often the event is delivered.

    It goes to `address`, or to the one that the account has when it is sent. `subject_id` is all
    that the letter of this kind is written from: nothing secret and no text is kept.
    """
    await tx.run(
        POST,
        event=event.outbox_id,
        what=kind,
        way=channel,
        user=user_id,
        to=address,
        subject=subject_id,
        now=tx.now,
        until=tx.now + lasting,
    )


async def forget(tx: Transaction, user_id: UUID) -> None:
    """Delete all letters to an account."""
    await tx.run(FORGET, user=user_id)
