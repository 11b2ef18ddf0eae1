"""What sign-in asks of second factors; which there are and how they are checked is not its part."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from server.core.db import Transaction


class Proof(NamedTuple):
    """What was given: `kind` is totp, recovery_code or passkey."""

    kind: str
    value: str


class SecondFactors(Protocol):
    """The second factors of whoever the transaction speaks for."""

    async def kinds(self, tx: Transaction) -> Sequence[str]:
        """Answer the kinds of proof that may be given; none without a second factor."""

    async def check(self, tx: Transaction, proof: Proof) -> None:
        """Use the proof up; raise when it is wrong or was used before."""
