"""An address is changed by who reads the new one, and told to who reads the old one."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import grpc

from server.auth.own_sessions import FRESH
from tests.account.conftest import Account, outcome
from tests.auth.auth_client import Person
from tests.refusal import refused


def new_email() -> str:
    return f"{uuid4().hex}@new.example"


async def asked(account: Account, person: Person, new: str) -> str:
    """Ask for the change and answer the token of the mail; other mail is left aside."""
    await account.letters()
    await account.RequestEmailChange(person.token, new_email=new)
    letter = await account.letter()
    assert letter.to == new
    return letter.token


async def test_the_new_address_counts_once_it_is_confirmed(account: Account) -> None:
    person, new = await account.auth.person(), new_email()
    token = await asked(account, person, new)
    assert (await account.auth.login(person.email)).user.email == person.email
    await account.ConfirmEmailChange(token=token)
    assert (await refused(account.auth.login(person.email))).reason == "WRONG_CREDENTIALS"
    user = (await account.auth.login(new)).user
    assert (user.email, user.email_verified) == (new, True)
    assert user.etag != person.user.etag
    told = await account.letter()
    assert (told.to, told.subject) == (person.email, "Your address was changed")
    assert new not in told.body


async def test_a_token_is_good_once_and_for_a_day(account: Account) -> None:
    person, new = await account.auth.person(), new_email()
    token = await asked(account, person, new)
    account.db.clock.advance(timedelta(days=1))
    assert (await refused(account.ConfirmEmailChange(token=token))).reason == "LINK_INVALID"
    account.db.clock.advance(timedelta(minutes=-1))
    await account.ConfirmEmailChange(token=token)
    assert (await refused(account.ConfirmEmailChange(token=token))).reason == "LINK_INVALID"


async def test_a_token_of_another_purpose_is_refused(account: Account) -> None:
    person = await account.auth.person()
    verification = (await account.letter()).token
    assert (await refused(account.ConfirmEmailChange(token=verification))).reason == "LINK_INVALID"
    token = await asked(account, person, new_email())
    assert (await refused(account.VerifyEmail(token=token))).reason == "LINK_INVALID"


async def test_links_to_the_old_address_are_worthless_afterwards(account: Account) -> None:
    person = await account.auth.person()
    verification = (await account.letter()).token
    await account.RequestPasswordReset(email=person.email)
    reset = (await account.letter()).token
    await account.ConfirmEmailChange(token=await asked(account, person, new_email()))
    late = account.ResetPassword(token=reset, new_password="another horse battery")
    assert (await refused(late)).reason == "LINK_INVALID"
    assert (await refused(account.VerifyEmail(token=verification))).reason == "LINK_INVALID"


async def test_who_has_the_address_already_is_told_and_the_other_learns_nothing(
    account: Account,
) -> None:
    person, other = await account.auth.person(), await account.auth.register()
    await account.letters()
    await account.RequestEmailChange(person.token, new_email=other.upper())
    told = await account.letter()
    assert (told.to, told.subject) == (other, "Your address is in use")


async def test_of_two_who_want_the_same_address_one_gets_it(account: Account) -> None:
    one, two, new = await account.auth.person(), await account.auth.person(), new_email()
    tokens = [await asked(account, one, new), await asked(account, two, new.upper())]
    answers = await asyncio.gather(
        *(account.ConfirmEmailChange(token=token) for token in tokens), return_exceptions=True
    )
    (lost,) = [answer for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
    assert lost.code() is grpc.StatusCode.ALREADY_EXISTS


async def test_a_repeat_sends_one_mail(account: Account) -> None:
    person, new, request_id = await account.auth.person(), new_email(), str(uuid4())
    await account.letters()
    for _ in range(2):
        await account.RequestEmailChange(person.token, new_email=new, request_id=request_id)
    await account.letter()
    other = account.RequestEmailChange(person.token, new_email=new_email(), request_id=request_id)
    assert (await refused(other)).reason == "REQUEST_ID_REUSED"


async def test_who_asks_has_just_proven_who_they_are(account: Account) -> None:
    person = await account.auth.person()
    assert (await refused(account.RequestEmailChange(new_email=new_email()))).reason == (
        "UNAUTHENTICATED"
    )
    account.db.clock.advance(FRESH)
    late = account.RequestEmailChange(person.token, new_email=new_email())
    assert (await refused(late)).reason == "REAUTHENTICATION_REQUIRED"


async def test_an_invalid_field_is_named(account: Account) -> None:
    person = await account.auth.person()
    for fields, named in (
        ({"new_email": "no address"}, "new_email"),
        ({"new_email": person.email.upper()}, "new_email"),
        ({"new_email": new_email(), "request_id": "7"}, "request_id"),
    ):
        refusal = await refused(account.RequestEmailChange(person.token, **fields))
        assert (refusal.reason, list(refusal.fields)) == ("INVALID_FIELD", [named])


async def test_the_old_address_is_kept_no_longer_than_to_tell_it(
    account: Account, owner: Any
) -> None:
    person, new = await account.auth.person(), new_email()
    await account.ConfirmEmailChange(token=await asked(account, person, new))
    await account.letters()
    user_id = await outcome(owner, new, "user_id")
    proofs = "SELECT t::text FROM account_proof t WHERE user_id = $1 AND purpose = 'change_email'"
    mails = "SELECT t::text FROM mail t WHERE user_id = $1"
    kept = [str(row) for query in (proofs, mails) for row in await owner.fetch(query, user_id)]
    assert kept
    assert person.email not in "".join(kept)
