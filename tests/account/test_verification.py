"""An address is verified with the token of the mail that was sent to it."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest

from server.account.proofs import KEPT, LASTING, VERIFY_EMAIL, forget_old
from tests.account.conftest import WEB, Account
from tests.refusal import refused
from tests.rows import add


async def is_verified(account: Account, token: str) -> bool:
    return bool((await account.auth.GetProfile(token)).user.email_verified)


async def test_who_registers_verifies_the_address_with_the_mail(account: Account) -> None:
    person = await account.auth.person(full_name="Āsha Rao")
    assert not person.user.email_verified
    letter = await account.letter()
    assert letter.to == person.email
    assert letter.body.startswith("Hello Āsha Rao,")
    assert f"{WEB}/verify-email#token={letter.token}" in letter.body
    await account.VerifyEmail(token=letter.token)
    assert await is_verified(account, person.token)


async def test_a_token_is_good_once(account: Account) -> None:
    person = await account.auth.person()
    token = (await account.letter()).token
    await account.VerifyEmail(token=token)
    again = await refused(account.VerifyEmail(token=token))
    assert (again.code, again.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "LINK_INVALID")
    assert await is_verified(account, person.token)


async def test_a_token_is_good_for_three_days(account: Account) -> None:
    await account.auth.register()
    token = (await account.letter()).token
    account.db.clock.advance(timedelta(days=3))
    assert (await refused(account.VerifyEmail(token=token))).reason == "LINK_INVALID"
    account.db.clock.advance(timedelta(minutes=-1))
    await account.VerifyEmail(token=token)


async def test_what_is_no_token_of_this_purpose_is_refused_alike(account: Account) -> None:
    email = await account.auth.register()
    (verification,) = await account.letters()
    await account.RequestPasswordReset(email=email)
    reset = (await account.letter()).token
    flipped = verification.token[:-1] + ("A" if verification.token[-1] != "A" else "Q")
    unknown = account.tokens.token("verify_email", uuid4())
    wrong = [reset, flipped, unknown, verification.token[:22], "x", "é" * 64, "=" * 88]
    refusals = [await refused(account.VerifyEmail(token=each)) for each in wrong]
    assert {refusal.reason for refusal in refusals} == {"LINK_INVALID"}
    assert all(refusal == refusals[0] for refusal in refusals)
    await account.VerifyEmail(token=verification.token)


async def test_another_mail_can_be_asked_for_and_each_is_good_until_one_is_used(
    account: Account,
) -> None:
    person = await account.auth.person()
    first = await account.letter()
    request_id = str(uuid4())
    for _ in range(2):
        await account.ResendVerification(person.token, request_id=request_id)
    second = await account.letter()
    await account.VerifyEmail(token=first.token)
    assert (await refused(account.VerifyEmail(token=second.token))).reason == "LINK_INVALID"
    await account.ResendVerification(person.token)
    assert await account.letters() == []


async def test_nobody_asks_for_it_without_signing_in_or_too_often(account: Account) -> None:
    assert (await refused(account.ResendVerification())).reason == "UNAUTHENTICATED"
    person = await account.auth.person()
    for _ in range(5):
        await account.ResendVerification(person.token)
    assert (await refused(account.ResendVerification(person.token))).reason == "RATE_LIMITED"


@pytest.mark.parametrize(
    ("rpc", "fields", "named"),
    [
        ("VerifyEmail", {"token": ""}, "token"),
        ("VerifyEmail", {"token": "x" * 257}, "token"),
        ("ResendVerification", {"request_id": "7"}, "request_id"),
        ("RequestPasswordReset", {"email": "no address"}, "email"),
        ("ResetPassword", {"token": "", "new_password": "correct horse"}, "token"),
        ("ResetPassword", {"token": "x", "new_password": "short"}, "new_password"),
        ("ResetPassword", {"token": "x", "new_password": "password1"}, "new_password"),
    ],
)
async def test_an_invalid_field_is_named(
    account: Account, rpc: str, fields: dict[str, Any], named: str
) -> None:
    person = await account.auth.person()
    refusal = await refused(getattr(account, rpc)(person.token, **fields))
    assert (refusal.reason, list(refusal.fields)) == ("INVALID_FIELD", [named])


async def test_the_owner_learns_of_a_second_registration(account: Account) -> None:
    email = await account.auth.register()
    await account.letters()
    await account.auth.register(email.upper(), full_name="Mallory")
    letter = await account.letter()
    assert (letter.to, letter.subject) == (email, "You have an account already")
    assert "Mallory" not in letter.body
    assert "#token=" not in letter.body


async def test_neither_table_log_nor_event_holds_the_token(account: Account, owner: Any) -> None:
    email = await account.auth.register()
    await account.RequestPasswordReset(email=email)
    held = []
    for table in ("outbox", "mail", "account_proof", "audit"):
        held += [str(row) for row in await owner.fetch(f"SELECT t::text FROM {table} t")]
    letters = await account.letters()
    for table in ("mail", "account_proof"):
        held += [str(row) for row in await owner.fetch(f"SELECT t::text FROM {table} t")]
    events = [row for row in held if "user.password_reset_requested" in row]
    assert events
    assert email not in "".join(events)
    assert len(letters) == 2
    for letter in letters:
        assert letter.token[22:60] not in "".join(held)


async def test_an_event_that_comes_twice_sends_one_mail(account: Account, owner: Any) -> None:
    await account.auth.register()
    (event,) = await owner.fetch("SELECT * FROM outbox WHERE topic = 'user.registered'")
    first = await account.letter()
    await add(owner, "outbox", **dict(event))
    assert await account.letters() == []
    await account.VerifyEmail(token=first.token)


async def test_proofs_are_forgotten_a_month_after_they_ended(account: Account, owner: Any) -> None:
    email = await account.auth.register()
    await account.letters()
    count = "SELECT count(*) FROM account_proof WHERE address = $1"
    for step, left in ((LASTING[VERIFY_EMAIL] + KEPT, 1), (timedelta(seconds=1), 0)):
        account.db.clock.advance(step - timedelta(milliseconds=500) * left)
        await forget_old(account._worker)
        assert await owner.fetchval(count, email) == left
