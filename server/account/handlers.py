"""What follows for accounts from what has happened: whom a letter goes to."""

from server.core.db import Transaction
from server.core.outbox import Event, Handlers
from server.mail import service as mail


async def tell_owner(tx: Transaction, event: Event) -> None:
    """Tell the owner of an address that somebody tried to register with it."""
    owner = event.subject_id
    await mail.post(tx, event, "registration_repeated", owner, user_id=owner)


HANDLERS: Handlers = {
    "user.registration_repeated": (tell_owner,),
}
