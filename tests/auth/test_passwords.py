"""Weak passwords are refused; hashing takes its time off the loop and the same for everybody."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator

import pytest

from server.auth import passwords
from server.auth.passwords import MAX_WAITING, Passwords
from server.core.errors import InvalidField, ResourceExhausted


@pytest.fixture
async def subject() -> AsyncIterator[Passwords]:
    subject = Passwords()
    yield subject
    subject.close()


@pytest.mark.parametrize(
    "password",
    [
        "password", "PASSWORD", "Password1", "P@ssw0rd!", "12345678", "87654321", "1234567890",
        "aaaaaaaa", "abababab", "abcdabcd", "qwertyuiop", "Qwerty123", "letmein1", "iloveyou2",
        "welcome2026!", "Summer2025", "!!dragon!!", "monkey1234", "abcdefgh", "hgfedcba",
        "11111111", "Carelane2026", "qwerty!!", "dragon99", "13579;=?",
    ],
)  # fmt: skip
def test_a_common_password_is_refused(password: str) -> None:
    with pytest.raises(InvalidField) as refusal:
        passwords.check(password, "password")
    assert refusal.value.fields == (("password", passwords.COMMON_RULE),)


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "Zähne-putzen",
        "पासवर्ड मेरा",
        "kT9#vq2L",
        "7 dwarfs + 1",
        "8492#71!x",
    ],
)
def test_an_uncommon_password_is_accepted(password: str) -> None:
    passwords.check(password, "password", personal=["asha", "asha@mail.example"])


@pytest.mark.parametrize("password", ["short77", "e\u0301" * 7, "x\u00df" * 129])
def test_length_is_counted_in_characters_as_people_see_them(password: str) -> None:
    with pytest.raises(InvalidField) as refusal:
        passwords.check(password, "new_password")
    assert refusal.value.fields == (("new_password", passwords.LENGTH_RULE),)


def test_the_own_address_is_no_password() -> None:
    with pytest.raises(InvalidField) as refusal:
        passwords.check("Asha.Rao@mail.example", "password", personal=["asha.rao@mail.example"])
    assert refusal.value.fields == (("password", passwords.PERSONAL_RULE),)


async def test_a_password_matches_its_hash_in_either_spelling(subject: Passwords) -> None:
    made = await subject.hash("caf\u00e9 au lait")
    assert made.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await subject.matches("cafe\u0301 au lait", made)
    assert not await subject.matches("cafe au lait", made)


async def test_two_hashes_of_one_password_differ(subject: Passwords) -> None:
    assert await subject.hash("correct horse") != await subject.hash("correct horse")


async def test_nobody_and_a_broken_hash_match_nothing(subject: Passwords) -> None:
    assert not await subject.matches("nobody has this password", None)
    assert not await subject.matches("anything", "no hash at all")


async def test_an_unknown_user_costs_as_much_as_a_wrong_password(subject: Passwords) -> None:
    made = await subject.hash("correct horse")

    async def seconds(password_hash: str | None) -> float:
        start = time.perf_counter()
        await subject.matches("wrong horse", password_hash)
        return time.perf_counter() - start

    pairs = [(await seconds(made), await seconds(None)) for _ in range(15)]
    known, unknown = (statistics.median(column) for column in zip(*pairs, strict=True))
    assert 0.5 < known / unknown < 2


async def test_hashing_is_refused_when_too_many_wait(subject: Passwords) -> None:
    answers = await asyncio.gather(
        *(subject.matches("x", None) for _ in range(MAX_WAITING + 1)), return_exceptions=True
    )
    assert [type(answer) for answer in answers].count(ResourceExhausted) == 1
    assert await subject.matches("x", None) is False


def test_a_hash_with_other_costs_is_outdated(subject: Passwords) -> None:
    assert subject.is_outdated("$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$" + "A" * 43)
