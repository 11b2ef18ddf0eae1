"""Passkeys (WebAuthn): what a browser is asked, and whether its answer is right.

The library checks origin, domain, signature and counter; here is what it cannot know: that the
challenge is ours, of this person, for this purpose, and not used yet.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

import webauthn
from asyncpg import Record
from sqlalchemy import bindparam, delete, insert
from webauthn.helpers import (
    parse_authentication_credential_json,
    parse_client_data_json,
    parse_registration_credential_json,
)
from webauthn.helpers.structs import PublicKeyCredentialDescriptor

from server.core.db import Transaction, sql
from server.core.errors import PermissionDenied
from server.factor.models import FactorChallenge

LIFETIME = timedelta(minutes=5)
NAME = "Carelane"

KEEP = sql(
    insert(FactorChallenge).values(
        challenge=bindparam("challenge"),
        user_id=bindparam("user"),
        purpose=bindparam("purpose"),
        expire_time=bindparam("expire_time"),
    )
)
TAKE = sql(
    delete(FactorChallenge)
    .where(
        FactorChallenge.challenge == bindparam("value"),
        FactorChallenge.user_id == bindparam("user"),
        FactorChallenge.purpose == bindparam("purpose"),
        FactorChallenge.expire_time > bindparam("now"),
    )
    .returning(FactorChallenge.challenge)
)


class WrongFactor(PermissionDenied):
    """The code or the passkey's answer is wrong, or was used before: nobody is told which."""

    reason = "WRONG_FACTOR"
    text = "The second factor is wrong or was used before."


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """Whose passkeys these are: the domain they belong to, and the pages that may ask for them."""

    domain: str
    origins: tuple[str, ...]


class NewPasskey(NamedTuple):
    """What is kept of a passkey."""

    credential_id: bytes
    public_key: bytes
    sign_count: int


async def ask_to_add(
    tx: Transaction, party: RelyingParty, *, email: str, known: Sequence[Record]
) -> str:
    """Answer the options for a new passkey of the caller, as JSON."""
    options = webauthn.generate_registration_options(
        rp_id=party.domain,
        rp_name=NAME,
        user_id=tx.user_id.bytes,
        user_name=email,
        exclude_credentials=_descriptors(known),
    )
    await _keep(tx, options.challenge, "add")
    return webauthn.options_to_json(options)


async def ask(tx: Transaction, party: RelyingParty, known: Sequence[Record]) -> str:
    """Answer the options for the use of one of the caller's passkeys, as JSON."""
    options = webauthn.generate_authentication_options(
        rp_id=party.domain, allow_credentials=_descriptors(known)
    )
    await _keep(tx, options.challenge, "check")
    return webauthn.options_to_json(options)


async def read_new(tx: Transaction, party: RelyingParty, given: str) -> NewPasskey:
    """Check the browser's answer to `ask_to_add`, and use the challenge up."""
    with _read():
        credential = parse_registration_credential_json(given)
        challenge = parse_client_data_json(credential.response.client_data_json).challenge
    await _take(tx, challenge, "add")
    with _read():
        made = webauthn.verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=party.domain,
            expected_origin=list(party.origins),
        )
    return NewPasskey(made.credential_id, made.credential_public_key, made.sign_count)


async def read_use(
    tx: Transaction, party: RelyingParty, given: str, known: Sequence[Record]
) -> tuple[UUID, int]:
    """Check the browser's answer to `ask`; answer which passkey it is, and its counter."""
    with _read():
        credential = parse_authentication_credential_json(given)
        challenge = parse_client_data_json(credential.response.client_data_json).challenge
    factor = next((row for row in known if row["credential_id"] == credential.raw_id), None)
    if factor is None:
        raise WrongFactor
    await _take(tx, challenge, "check")
    with _read():
        used = webauthn.verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=party.domain,
            expected_origin=list(party.origins),
            credential_public_key=factor["public_key"],
            credential_current_sign_count=factor["sign_count"],
        )
    return factor["factor_id"], used.new_sign_count


@contextmanager
def _read() -> Iterator[None]:
    """Refuse what the library cannot read: it raises what its parsers of JSON and CBOR raise."""
    try:
        yield
    except Exception:  # noqa: BLE001 - of any kind, down to a RecursionError
        raise WrongFactor from None


def _descriptors(known: Sequence[Record]) -> list[PublicKeyCredentialDescriptor]:
    return [PublicKeyCredentialDescriptor(id=row["credential_id"]) for row in known]


async def _keep(tx: Transaction, challenge: bytes, purpose: str) -> None:
    expire_time = tx.now + LIFETIME
    await tx.run(
        KEEP, challenge=challenge, user=tx.user_id, purpose=purpose, expire_time=expire_time
    )


async def _take(tx: Transaction, challenge: bytes, purpose: str) -> None:
    row = await tx.one(TAKE, value=challenge, user=tx.user_id, purpose=purpose, now=tx.now)
    if row is None:
        raise WrongFactor
