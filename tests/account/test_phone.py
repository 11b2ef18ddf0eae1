"""A telephone number is verified with the code of the text message that was sent to it."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest

from server.account.tokens import ProofTokens
from tests.account.conftest import Account
from tests.auth.auth_client import Person
from tests.refusal import refused


def number() -> str:
    return f"+91 98200 {uuid4().int % 90000 + 10000}"


async def sent(account: Account, person: Person, phone: str = "") -> str:
    """Ask for a code and answer it."""
    await account.letters()
    await account.RequestPhoneCode(person.token, phone=phone or number())
    return (await account.letter()).body[:6]


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06}"


async def test_the_number_counts_once_the_code_came_back(account: Account) -> None:
    person, phone = await account.auth.person(phone="+91 98111 12345"), number()
    await account.letters()
    await account.RequestPhoneCode(person.token, phone=phone)
    message = await account.letter()
    assert message.to == phone.replace(" ", "")
    before = (await account.auth.GetProfile(person.token)).user
    assert (before.phone, before.phone_verified) == ("+919811112345", False)
    await account.ConfirmPhoneCode(person.token, code=message.body[:6])
    user = (await account.auth.GetProfile(person.token)).user
    assert (user.phone, user.phone_verified) == (message.to, True)


async def test_another_number_is_not_verified_but_another_name_changes_nothing(
    account: Account,
) -> None:
    person = await account.auth.person()
    await account.ConfirmPhoneCode(person.token, code=await sent(account, person))
    named = (await account.auth.UpdateProfile(person.token, full_name="Asha Roy")).user
    assert named.phone_verified
    moved = (await account.auth.UpdateProfile(person.token, phone="+91 98111 12345")).user
    assert not moved.phone_verified


async def test_a_code_can_be_tried_five_times(account: Account) -> None:
    person = await account.auth.person()
    code = await sent(account, person)
    for _ in range(5):
        refusal = await refused(account.ConfirmPhoneCode(person.token, code=wrong(code)))
        assert (refusal.code, refusal.reason) == (
            grpc.StatusCode.FAILED_PRECONDITION,
            "WRONG_CODE",
        )
    late = await refused(account.ConfirmPhoneCode(person.token, code=code))
    assert late.reason == "WRONG_CODE"


async def test_of_many_tries_at_once_five_are_looked_at(account: Account, owner: Any) -> None:
    person = await account.auth.person()
    code = await sent(account, person)
    answers = await asyncio.gather(
        *(account.ConfirmPhoneCode(person.token, code=wrong(code)) for _ in range(12)),
        return_exceptions=True,
    )
    assert all(isinstance(answer, grpc.aio.AioRpcError) for answer in answers)
    tries = "SELECT tries FROM account_proof WHERE user_id = $1 AND purpose = 'verify_phone'"
    assert await owner.fetchval(tries, UUID(person.user.user_id)) == 5


async def test_a_code_is_good_once_and_for_ten_minutes(account: Account) -> None:
    person = await account.auth.person()
    code = await sent(account, person)
    account.db.clock.advance(timedelta(minutes=10))
    assert (await refused(account.ConfirmPhoneCode(person.token, code=code))).reason == (
        "WRONG_CODE"
    )
    account.db.clock.advance(timedelta(seconds=-30))
    await account.ConfirmPhoneCode(person.token, code=code)
    assert (await refused(account.ConfirmPhoneCode(person.token, code=code))).reason == (
        "WRONG_CODE"
    )


async def test_the_newest_code_counts_and_somebody_elses_never(account: Account) -> None:
    person, other = await account.auth.person(), await account.auth.person()
    first = await sent(account, person)
    second = await sent(account, person)
    for by, code in ((person, first), (other, second)):
        assert (
            first == second
            or (await refused(account.ConfirmPhoneCode(by.token, code=code))).reason == "WRONG_CODE"
        )
    await account.ConfirmPhoneCode(person.token, code=second)


async def test_a_repeat_sends_one_message(account: Account) -> None:
    person, fields = await account.auth.person(), {"request_id": str(uuid4()), "phone": number()}
    await account.letters()
    for _ in range(2):
        await account.RequestPhoneCode(person.token, **fields)
    await account.letter()


async def test_one_number_gets_five_messages_an_hour_wherever_they_come_from(
    account: Account,
) -> None:
    phone = number()
    for place in range(5):
        person = await account.auth.person()
        await account.RequestPhoneCode(person.token, f"198.51.100.{place}", phone=phone)
    person = await account.auth.person()
    late = account.RequestPhoneCode(person.token, "198.51.100.9", phone=phone)
    assert (await refused(late)).reason == "RATE_LIMITED"


@pytest.mark.parametrize(
    ("rpc", "fields", "named"),
    [
        ("RequestPhoneCode", {"phone": "98200 12345"}, "phone"),
        ("RequestPhoneCode", {"phone": "+91 12345"}, "phone"),
        ("RequestPhoneCode", {"phone": ""}, "phone"),
        ("RequestPhoneCode", {"phone": "+91 98200 12345", "request_id": "7"}, "request_id"),
        ("ConfirmPhoneCode", {"code": "12345"}, "code"),
        ("ConfirmPhoneCode", {"code": "12345a"}, "code"),
    ],
)
async def test_an_invalid_field_is_named(
    account: Account, rpc: str, fields: dict[str, Any], named: str
) -> None:
    person = await account.auth.person()
    refusal = await refused(getattr(account, rpc)(person.token, **fields))
    assert (refusal.reason, list(refusal.fields)) == ("INVALID_FIELD", [named])


async def test_nobody_asks_without_signing_in(account: Account) -> None:
    for call in (account.RequestPhoneCode(phone=number()), account.ConfirmPhoneCode(code="123456")):
        assert (await refused(call)).reason == "UNAUTHENTICATED"


def test_codes_are_six_digits_and_those_of_an_older_key_are_known() -> None:
    old, new = b"o" * 32, b"n" * 32
    proofs = [uuid4() for _ in range(300)]
    codes = [ProofTokens([old]).code(each) for each in proofs]
    assert all(len(code) == 6 and code.isdigit() for code in codes)
    assert len(set(codes)) > 290
    rotated = ProofTokens([new, old])
    assert all(rotated.is_code(*pair) for pair in zip(proofs, codes, strict=True))
