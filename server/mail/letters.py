"""What letters are: domains publish a table of them, as they do with handlers of events."""

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple
from uuid import UUID

from server.core.db import Transaction


class Words(NamedTuple):
    """A letter's subject and its text; a text message is the text alone."""

    subject: str
    body: str


class Delivery(NamedTuple):
    """Who gets a letter: the account, if it is to one, and the address to which it goes."""

    subject_id: UUID
    user_id: UUID | None
    address: str
    full_name: str


Letter = Callable[[Transaction, Delivery], Awaitable[Words | None]]
"""Writes a letter at the moment of sending; None when there is nothing to say any more."""

Letters = Mapping[str, Letter]
