"""How many attempts at accounts are allowed, and who pays for the failed ones.

Looking an account up by its address is one, too: a clinic may do it that names somebody to work
there, and any doctor may open a clinic.

Failures from networks that an account never signed in from share one budget, whatever their
number. A network that it did sign in from has a budget of its own, so an attack from elsewhere does
not keep the owner out.
"""

from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from server.auth.limits import Limit, Limits
from server.core.access import Caller

KNOWN_FOR = timedelta(days=90)
"""How long a network is known after a sign-in from it."""


class Rules(NamedTuple):
    """The limits; registrations and look-ups are counted all, of the others the failures only."""

    account_failures: Limit = Limit(10, timedelta(minutes=15))
    network_failures: Limit = Limit(100, timedelta(minutes=15))
    network_registrations: Limit = Limit(60, timedelta(hours=1))
    caller_look_ups: Limit = Limit(60, timedelta(hours=1))
    network_look_ups: Limit = Limit(300, timedelta(hours=1))
    address_letters: Limit = Limit(5, timedelta(hours=1))
    network_letters: Limit = Limit(60, timedelta(hours=1))


DEFAULT_RULES = Rules()
ONE_MACHINE_RULES = Rules(
    network_failures=Limit(100_000, timedelta(minutes=15)),
    network_registrations=Limit(100_000, timedelta(hours=1)),
    network_look_ups=Limit(100_000, timedelta(hours=1)),
    network_letters=Limit(100_000, timedelta(hours=1)),
)
"""For development, where everybody comes from the same address."""


class Attempts:
    """Counts attempts by what they are aimed at and where they come from.

    Each call raises ResourceExhausted over the limit, and answers what `forgive` takes back once
    the attempt turned out to be the owner's.
    """

    def __init__(self, limits: Limits, rules: Rules = DEFAULT_RULES) -> None:
        self._limits = limits
        self._rules = rules

    async def registration(self, network: str) -> None:
        """Count a registration."""
        await self._limits.take(f"register:{network}", self._rules.network_registrations)

    async def look_up(self, caller: Caller, network: str) -> None:
        """Count a look-up of an account by its address, whether there is one or not."""
        await self._limits.take(f"look-up:{caller.user_id}", self._rules.caller_look_ups)
        await self._limits.take(f"look-up:{network}", self._rules.network_look_ups)

    async def letter(self, address: str, network: str, *, by: UUID | None = None) -> None:
        """Count what makes a letter go to an address, whoever has it; `by` whom when signed in.

        Each network has a budget of its own for an address, so that others do not use up its
        owner's.
        """
        by_address = f"letter:{address.lower()}:{network}"
        await self._limits.take(f"letter:{network}", self._rules.network_letters)
        await self._limits.take(by_address, self._rules.address_letters)
        if by:
            await self._limits.take(f"letter-by:{by}", self._rules.address_letters)

    async def text_message(self, number: str, network: str, *, by: UUID | None) -> None:
        """Count a text message: they cost, so a number has one budget, wherever they come from."""
        await self._limits.take(f"text:{number}", self._rules.address_letters)
        await self.letter(number, network, by=by)

    async def sign_in(self, email: str, network: str, *, known: bool) -> tuple[str, ...]:
        """Count a sign-in; `known` says that the account signed in from this network before."""
        by_network = f"sign-in:{network}"
        by_account = f"account:{email.lower()}:{network if known else ''}"
        await self._limits.take(by_network, self._rules.network_failures)
        await self._limits.take(by_account, self._rules.account_failures)
        return by_network, by_account

    async def password_check(self, user_id: UUID) -> tuple[str, ...]:
        """Count a signed-in person's proof of their own password."""
        key = f"password:{user_id}"
        await self._limits.take(key, self._rules.account_failures)
        return (key,)

    async def second_factor(
        self, user_id: UUID, network: str = "", *, known: bool = False
    ) -> tuple[str, ...]:
        """Count a second factor; `network` is given at a sign-in, and `known` as there.

        Whoever is signed in has a budget that those who try to sign in do not use up.
        """
        where = (network if known else "") if network else "signed-in"
        keys = [f"second-factor:{user_id}:{where}"]
        await self._limits.take(keys[0], self._rules.account_failures)
        if network:
            keys.append(f"sign-in:{network}")
            await self._limits.take(keys[1], self._rules.network_failures)
        return tuple(keys)

    async def key_exchange(self, key_id: UUID, network: str) -> tuple[str, ...]:
        """Count an exchange of a key; others who try it elsewhere do not keep its program out."""
        keys = f"sign-in:{network}", f"key:{key_id}:{network}"
        await self._limits.take(keys[0], self._rules.network_failures)
        await self._limits.take(keys[1], self._rules.account_failures)
        return keys

    async def forgive(self, keys: tuple[str, ...]) -> None:
        """Take an honest attempt out of the counts."""
        await self._limits.give_back(*keys)
