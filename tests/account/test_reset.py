"""Who forgot the password sets a new one; whether somebody has an account nobody learns."""

import asyncio
import time
from datetime import timedelta
from typing import Any
from uuid import uuid4

from tests.account.conftest import Account, user_id
from tests.auth.auth_client import PASSWORD
from tests.refusal import refused

NEW = "another horse battery"


async def token_for(account: Account, email: str) -> str:
    """Ask for a reset and answer the token of the mail; other mail is left aside."""
    await account.letters()
    await account.RequestPasswordReset(email=email)
    return (await account.letter()).token


async def test_a_new_password_is_set_and_every_session_ends(account: Account) -> None:
    person = await account.auth.person()
    other = await account.auth.login(person.email)
    token = await token_for(account, person.email.upper())
    answer = await account.ResetPassword(token=token, new_password=NEW)
    assert answer.ended_count == 2
    for each in (person, other):
        assert (await refused(account.auth.GetProfile(each.token))).reason == "UNAUTHENTICATED"
        ended = account.auth.RefreshToken(refresh_token=each.session.refresh_token)
        assert (await refused(ended)).reason == "SESSION_ENDED"
    assert (await refused(account.auth.login(person.email))).reason == "WRONG_CREDENTIALS"
    assert (await account.auth.login(person.email, NEW)).user.email_verified
    told = await account.letter()
    assert (told.to, told.subject) == (person.email, "Your password was changed")


async def test_a_token_is_good_once_and_for_half_an_hour(account: Account) -> None:
    email = await account.auth.register()
    token = await token_for(account, email)
    account.db.clock.advance(timedelta(minutes=30))
    late = account.ResetPassword(token=token, new_password=NEW)
    assert (await refused(late)).reason == "LINK_INVALID"
    account.db.clock.advance(timedelta(minutes=-1))
    await account.ResetPassword(token=token, new_password=NEW)
    again = account.ResetPassword(token=token, new_password=PASSWORD)
    assert (await refused(again)).reason == "LINK_INVALID"
    await account.auth.login(email, NEW)


async def test_of_many_who_use_one_token_at_once_one_wins(account: Account) -> None:
    email = await account.auth.register()
    token = await token_for(account, email)
    passwords = [f"{NEW} {number}" for number in range(8)]
    answers = await asyncio.gather(
        *(account.ResetPassword(token=token, new_password=each) for each in passwords),
        return_exceptions=True,
    )
    (won,) = [n for n, answer in enumerate(answers) if not isinstance(answer, Exception)]
    await account.auth.login(email, passwords[won])


async def test_a_password_that_is_too_common_leaves_the_token_good(account: Account) -> None:
    token = await token_for(account, await account.auth.register())
    refusal = await refused(account.ResetPassword(token=token, new_password="password1"))
    assert list(refusal.fields) == ["new_password"]
    await account.ResetPassword(token=token, new_password=NEW)


async def test_a_token_of_another_purpose_is_refused(account: Account) -> None:
    await account.auth.register()
    verification = (await account.letter()).token
    wrong = account.ResetPassword(token=verification, new_password=NEW)
    assert (await refused(wrong)).reason == "LINK_INVALID"


async def test_a_password_that_was_changed_meanwhile_stays(account: Account) -> None:
    person = await account.auth.person()
    token = await token_for(account, person.email)
    await account.auth.ChangePassword(
        person.token, current_password=PASSWORD, new_password="a third horse battery"
    )
    late = account.ResetPassword(token=token, new_password=NEW)
    assert (await refused(late)).reason == "LINK_INVALID"


async def test_whoever_is_disabled_or_has_another_address_by_now_resets_nothing(
    account: Account, owner: Any
) -> None:
    email = await account.auth.register()
    token = await token_for(account, email)
    person = await user_id(owner, email)
    for change in ("status = 'disabled'", "status = 'active', email = email || 'x'"):
        await owner.execute(f"UPDATE user_account SET {change} WHERE user_id = $1", person)
        late = account.ResetPassword(token=token, new_password=NEW)
        assert (await refused(late)).reason == "LINK_INVALID"


async def test_nobody_who_has_no_account_or_a_disabled_one_gets_mail(
    account: Account, owner: Any
) -> None:
    email = await account.auth.register()
    await account.letters()
    await owner.execute("UPDATE user_account SET status = 'disabled' WHERE email = $1", email)
    for address in (email, f"{uuid4().hex}@mail.example"):
        await account.RequestPasswordReset(email=address)
    assert await account.letters() == []
    left = "SELECT count(*) FROM account_proof WHERE purpose = 'reset_password' AND user_id IS NULL"
    assert await owner.fetchval(left) == 0


async def test_strangers_who_ask_for_somebody_do_not_use_up_the_owners_resets(
    account: Account,
) -> None:
    email = await account.auth.register()
    await account.letters()
    for number in range(8):
        await account.RequestPasswordReset(address=f"198.51.100.{number}", email=email)
    letters = await account.letters()
    assert len(letters) == 5
    await account.RequestPasswordReset(email=email)
    await account.ResetPassword(token=letters[0].token, new_password=NEW)


async def test_one_place_asks_five_times_an_hour_for_one_address_known_or_not(
    account: Account,
) -> None:
    known, unknown = await account.auth.register(), f"{uuid4().hex}@mail.example"
    for email in (known, unknown):
        for _ in range(5):
            await account.RequestPasswordReset(email=email)
        assert (await refused(account.RequestPasswordReset(email=email))).reason == "RATE_LIMITED"


async def test_known_and_unknown_addresses_cannot_be_told_apart_by_time(account: Account) -> None:
    known = [await account.auth.register() for _ in range(20)]

    async def seconds(email: str, number: int) -> float:
        start = time.perf_counter()
        await account.RequestPasswordReset(address=f"198.51.100.{number}", email=email)
        return time.perf_counter() - start

    pairs = [
        (await seconds(known[n % 20], n), await seconds(f"{uuid4().hex}@mail.example", n))
        for n in range(200)
    ]
    slower = sum(a > b for a, _ in pairs for _, b in pairs)
    assert 0.40 <= slower / len(pairs) ** 2 <= 0.60
