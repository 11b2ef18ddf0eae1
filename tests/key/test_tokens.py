"""The one verifier takes tokens of keys as it makes them, and no mixture of both kinds."""

import json
from typing import Any
from uuid import uuid4

import pytest

from server.auth.tokens import InvalidToken, KeyToken
from tests.auth.test_tokens import HEADER, claims, signed, verifier

KEY, SECRET, CLINIC = uuid4(), uuid4(), uuid4()
OF_KEY = {
    "sub": str(KEY),
    "sid": str(SECRET),
    "role": None,
    "kind": "partner",
    "clinic": str(CLINIC),
    "scope": "availability.read schedule.read",
}


def token(**changes: Any) -> str:
    return signed(HEADER, json.dumps(claims(**(OF_KEY | changes))).encode())


@pytest.mark.parametrize("clinic_id", [CLINIC, None], ids=["partner", "service"])
def test_a_token_of_a_key_says_which_and_what_for(clinic_id: Any) -> None:
    subject, scopes = verifier(), frozenset({"a.read", "b.read"})
    made = subject.sign_key(KEY, SECRET, clinic_id=clinic_id, scopes=scopes)
    said = subject.verify(made.token)
    assert said == KeyToken(KEY, SECRET, clinic_id, scopes, made.expire_time)


def test_a_token_of_a_key_is_taken_as_it_is_made_here() -> None:
    said = verifier().verify(token())
    assert isinstance(said, KeyToken)
    assert said.scopes == {"availability.read", "schedule.read"}


@pytest.mark.parametrize(
    "changes",
    [
        {"role": "admin"},
        {"kind": None},
        {"kind": "service"},
        {"kind": "person"},
        {"kind": ["partner"]},
        {"clinic": None},
        {"clinic": ""},
        {"clinic": "here"},
        {"clinic": 7},
        {"clinic": "AAAAAAAA-0000-7000-8000-000000000001"},
        {"scope": None},
        {"scope": ""},
        {"scope": "schedule.read availability.read"},
        {"scope": "schedule.read schedule.read"},
        {"scope": " schedule.read"},
        {"scope": "*"},
        {"scope": ["schedule.read"]},
        {"sid": None},
        {"sid": "x"},
        {"sub": "x"},
        {"aud": ["carelane"]},
        {"exp": 9_999_999_999},
        {"azp": "x"},
    ],
    ids=repr,
)
def test_a_forged_token_of_a_key_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidToken):
        verifier().verify(token(**changes))
