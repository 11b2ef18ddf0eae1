"""Who calls, and which RPCs are open to them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from google.protobuf.descriptor import MethodDescriptor

from carelane.common.v1 import access_pb2
from server.core.errors import (
    PermissionDenied,
    ScopeMissing,
    SecondFactorRequired,
    Unauthenticated,
)


class Key(NamedTuple):
    """The key with which a program calls; one of the platform's own tools has no clinic."""

    key_id: UUID
    scopes: frozenset[str]
    clinic_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """The person or program behind a call, from the verified token alone.

    `role` is 'patient', 'doctor', 'staff' or 'admin'; empty when nobody is signed in. Who
    `needs_factor` may only add a second factor, or give it. A program has a `key` and nothing else.
    """

    user_id: UUID | None = None
    role: str = ""
    session_id: UUID | None = None
    needs_factor: bool = False
    key: Key | None = None

    @property
    def actor_id(self) -> UUID | None:
        """The person's or the key's id; None when nobody is known."""
        return self.key.key_id if self.key else self.user_id


ANONYMOUS = Caller()


class Rule(NamedTuple):
    """Who may call an RPC: `anyone`, or the signed in whose role is listed (None: all of them).

    `without_factor` admits those, too, whose second factor is missing. Keys are admitted by any of
    the `scopes` and by nothing else.
    """

    anyone: bool = False
    roles: frozenset[str] | None = None
    without_factor: bool = False
    scopes: frozenset[str] = frozenset()

    def check(self, caller: Caller) -> None:
        """Raise a refusal for a caller that the rule does not admit."""
        if self.anyone:
            return
        if caller.key:
            if not self.scopes & caller.key.scopes:
                raise ScopeMissing
            return
        if caller.user_id is None:
            raise Unauthenticated
        if self.roles is not None and caller.role not in self.roles:
            raise PermissionDenied
        if caller.needs_factor and not self.without_factor:
            raise SecondFactorRequired


Admission = Callable[[Caller], Awaitable[None]]
"""Refuses a caller by raising, for a reason that the role does not say."""


async def admit_everybody(_: Caller) -> None:
    """Refuse nobody."""


ANYONE = Rule(anyone=True)
SIGNED_IN = Rule()


def rule_of(method: MethodDescriptor) -> Rule:
    """Read the `access` option of an RPC; raise LookupError when it says nothing."""
    access = method.GetOptions().Extensions[access_pb2.access]
    audiences = frozenset(access.audiences)
    if not audiences or access_pb2.AUDIENCE_UNSPECIFIED in audiences:
        raise LookupError(f"{method.full_name} does not say who may call it (option access)")
    if access_pb2.AUDIENCE_ANYONE in audiences:
        return ANYONE._replace(without_factor=access.without_second_factor)
    if access_pb2.AUDIENCE_SIGNED_IN in audiences:
        roles: frozenset[str] | None = None
    else:
        names = (access_pb2.Audience.Name(audience) for audience in audiences)
        roles = frozenset(name.removeprefix("AUDIENCE_").lower() for name in names)
    return Rule(
        roles=roles,
        without_factor=access.without_second_factor,
        scopes=frozenset(access.scopes),
    )
