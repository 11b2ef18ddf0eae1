"""Secrets are random, recognised before anything is looked up, and stored as keyed hashes."""

from uuid import uuid4

import pytest

from server.key.secret import PREFIX, SecretHashes, is_well_formed, new_secret, shown


def test_a_secret_has_32_random_bytes_a_prefix_and_a_checksum() -> None:
    made = {new_secret() for _ in range(100)}
    assert len(made) == 100
    assert {len(secret) for secret in made} == {len(PREFIX) + 2 * 32 + 8}
    assert all(secret.startswith(PREFIX) and is_well_formed(secret) for secret in made)


@pytest.mark.parametrize("place", [0, len(PREFIX), len(PREFIX) + 30, -1])
def test_a_mistyped_secret_is_recognised(place: int) -> None:
    letters = list(new_secret())
    letters[place] = "0" if letters[place] != "0" else "1"
    assert not is_well_formed("".join(letters))


def test_what_is_shown_of_a_secret_is_a_few_digits() -> None:
    secret = new_secret()
    assert secret.startswith(shown(secret))
    assert len(shown(secret)) == len(PREFIX) + 6


def test_a_hash_is_of_one_key_and_one_server() -> None:
    key_id, secret = uuid4(), new_secret()
    hashes = SecretHashes([b"a" * 32])
    stored = hashes.make(key_id, secret)
    assert hashes.match(key_id, secret, stored)
    assert not hashes.match(uuid4(), secret, stored)
    assert not hashes.match(key_id, new_secret(), stored)
    assert not SecretHashes([b"b" * 32]).match(key_id, secret, stored)


def test_what_was_hashed_before_a_rotation_is_still_known() -> None:
    key_id, secret = uuid4(), new_secret()
    stored = SecretHashes([b"a" * 32]).make(key_id, secret)
    assert SecretHashes([b"b" * 32, b"a" * 32]).match(key_id, secret, stored)
