"""Whether somebody may book: where the platform asks for it, only with a proven address."""

from collections import OrderedDict
from uuid import UUID

from server.auth import contact
from server.core.access import Caller
from server.core.db import Database
from server.core.errors import FailedPrecondition

MOST_REMEMBERED = 100_000


class EmailUnverified(FailedPrecondition):
    """The caller has not proven their address."""

    reason = "EMAIL_UNVERIFIED"
    text = "Confirm your e-mail address first, with the link that was sent to you."


class VerifiedEmail:
    """Admits who has proven their address, everybody where that is not `required`.

    An address that is proven stays so, hence a person is looked up once in a process; who is
    refused is looked up again each time, and admitted as soon as the link was opened.
    """

    def __init__(self, db: Database, *, required: bool) -> None:
        self.required = required
        self._db = db
        self._verified: OrderedDict[UUID, None] = OrderedDict()

    async def __call__(self, caller: Caller) -> None:
        """Raise EmailUnverified for a caller who is not admitted."""
        if not self.required or caller.user_id is None or caller.user_id in self._verified:
            return
        async with self._db.transaction(caller) as tx:
            verified = await contact.is_verified(tx, caller.user_id)
        if not verified:
            raise EmailUnverified
        self._verified[caller.user_id] = None
        if len(self._verified) > MOST_REMEMBERED:
            self._verified.popitem(last=False)
