"""Signing in: right, wrong, alike for the unknown, and under attack."""

import asyncio
import statistics
import time
from datetime import timedelta
from uuid import UUID

import grpc
import pytest
from argon2 import PasswordHasher

from carelane.auth.v1 import auth_service_pb2 as pb
from carelane.auth.v1 import session_pb2, user_pb2
from server.auth.keyed import token_hash
from server.core.clock import MovableClock
from tests.auth.auth_client import PASSWORD, Auth, Connection
from tests.refusal import refused

HOME, ELSEWHERE = "198.51.100.1", "192.0.2.1"


async def test_a_session_comes_with_both_tokens(auth: Auth) -> None:
    person = await auth.person()
    session, now = person.session, auth.db.clock.now()
    said = auth.tokens.verify(session.access_token)
    assert (str(said.user_id), str(said.session_id)) == (person.user.user_id, session.session_id)
    assert said.role == "patient"
    ahead = session.access_token_expire_time.ToDatetime(now.tzinfo) - now
    assert timedelta(minutes=14, seconds=50) < ahead <= timedelta(minutes=15)
    ahead = session.refresh_token_expire_time.ToDatetime(now.tzinfo) - now
    assert timedelta(days=29) < ahead <= timedelta(days=30)


async def test_each_sign_in_opens_a_session_of_its_own(auth: Auth) -> None:
    one = await auth.person()
    other = await auth.login(one.email)
    assert one.session.session_id != other.session.session_id
    assert one.session.refresh_token != other.session.refresh_token


async def test_wrong_unknown_and_disabled_are_refused_alike(live: Auth, owner: Connection) -> None:
    person, disabled = await live.person(), await live.person()
    await owner.execute(
        "UPDATE user_account SET status = 'disabled' WHERE user_id = $1",
        UUID(disabled.user.user_id),
    )
    refusals = [
        await refused(live.login(person.email, "wrong horse battery")),
        await refused(live.login("nobody@mail.example")),
        await refused(live.login(disabled.email)),
    ]
    assert refusals[0] == refusals[1] == refusals[2]
    assert refusals[0].code == grpc.StatusCode.UNAUTHENTICATED
    assert refusals[0].reason == "WRONG_CREDENTIALS"


async def test_an_unknown_address_takes_as_long_as_a_wrong_password(hashing: Auth) -> None:
    async def seconds(email: str, address: str) -> float:
        start = time.perf_counter()
        await refused(hashing.login(email, "wrong horse battery", address=address))
        return time.perf_counter() - start

    pairs = []
    for number in range(15):
        email, address = await hashing.register(), f"203.0.113.{number}"
        pairs.append((await seconds(email, address), await seconds(f"no-{email}", address)))
    known, unknown = (statistics.median(column) for column in zip(*pairs, strict=True))
    assert 0.5 < known / unknown < 2


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "no address"),
        ("email", ""),
        ("password", ""),
        ("password", "x" * 257),
    ],
)
async def test_an_invalid_field_is_named(auth: Auth, field: str, value: str) -> None:
    fields = {"email": "asha@mail.example", "password": PASSWORD} | {field: value}
    refusal = await refused(auth.Login(**fields))
    assert (refusal.reason, list(refusal.fields)) == ("INVALID_FIELD", [field])


async def test_an_outdated_token_does_not_keep_its_owner_from_signing_in(auth: Auth) -> None:
    email = await auth.register()
    assert (await auth.login(email, token="outdated")).email == email


async def test_tokens_are_stored_hashed_only(live: Auth, owner: Connection) -> None:
    person = await live.person()
    rows = await owner.fetch(
        "SELECT token_hash, t::text AS everything FROM refresh_token t WHERE session_id = $1",
        UUID(person.session.session_id),
    )
    assert [row["token_hash"] for row in rows] == [token_hash(person.session.refresh_token)]
    assert person.session.refresh_token not in rows[0]["everything"]


async def test_guesses_at_one_account_end_after_ten(auth: Auth) -> None:
    email = await auth.register()
    for number in range(10):
        guess = auth.login(email, "wrong horse battery", address=f"192.0.2.{number}")
        assert (await refused(guess)).reason == "WRONG_CREDENTIALS"
    refusal = await refused(auth.login(email, address=ELSEWHERE))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "RATE_LIMITED",
    )
    assert 800 < refusal.retry_after <= 900
    assert refusal.text == "Too many attempts; try again in 15 min."


async def test_an_unknown_address_is_limited_like_a_known_one(auth: Auth) -> None:
    for _ in range(10):
        await refused(auth.login("nobody@mail.example"))
    assert (await refused(auth.login("NOBODY@mail.example"))).reason == "RATE_LIMITED"


async def test_the_owner_signs_in_from_home_while_the_account_is_attacked(auth: Auth) -> None:
    email = await auth.register()
    await auth.login(email, address=HOME)
    for _ in range(12):
        await refused(auth.login(email, "wrong horse battery", address=ELSEWHERE))
    assert (await refused(auth.login(email, address=ELSEWHERE))).reason == "RATE_LIMITED"
    assert (await auth.login(email, address=HOME)).email == email


async def test_home_is_limited_too(auth: Auth) -> None:
    email = await auth.register()
    await auth.login(email, address=HOME)
    for _ in range(10):
        await refused(auth.login(email, "wrong horse battery", address=HOME))
    assert (await refused(auth.login(email, address=HOME))).reason == "RATE_LIMITED"


async def test_a_network_is_not_known_for_ever(auth: Auth, clock: MovableClock) -> None:
    email = await auth.register()
    await auth.login(email, address=HOME)
    clock.advance(timedelta(days=91))
    for _ in range(10):
        await refused(auth.login(email, "wrong horse battery", address=ELSEWHERE))
    assert (await refused(auth.login(email, address=HOME))).reason == "RATE_LIMITED"


async def test_guesses_from_one_network_at_many_accounts_end_after_a_hundred(live: Auth) -> None:
    guesses = (
        refused(live.login(f"{number}@mail.example", address=f"2001:db8::{number:x}"))
        for number in range(105)
    )
    reasons = [refusal.reason for refusal in await asyncio.gather(*guesses)]
    assert reasons.count("WRONG_CREDENTIALS") == 100
    assert reasons.count("RATE_LIMITED") == 5


async def test_guesses_at_once_cannot_slip_past_the_limit(live: Auth) -> None:
    email = await live.register()
    guesses = (refused(live.login(email, "wrong horse battery")) for _ in range(30))
    reasons = [refusal.reason for refusal in await asyncio.gather(*guesses)]
    assert reasons.count("WRONG_CREDENTIALS") == 10


async def test_right_passwords_are_not_counted(auth: Auth) -> None:
    email = await auth.register()
    for _ in range(12):
        await auth.login(email)


async def test_the_limit_ends_with_its_window(auth: Auth, clock: MovableClock) -> None:
    email = await auth.register()
    for _ in range(11):
        await refused(auth.login(email, "wrong horse battery"))
    clock.advance(timedelta(minutes=15))
    assert (await auth.login(email)).email == email


async def test_a_hash_of_lower_cost_is_renewed_by_a_sign_in(
    hashing: Auth, owner: Connection
) -> None:
    person = await hashing.person()
    user_id = UUID(person.user.user_id)
    cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PASSWORD)
    await owner.execute(
        "UPDATE credential SET password_hash = $2 WHERE user_id = $1", user_id, cheap
    )
    await hashing.login(person.email)
    stored = await owner.fetchval(
        "SELECT password_hash FROM credential WHERE user_id = $1", user_id
    )
    assert "m=19456,t=2" in stored
    await hashing.login(person.email)


def test_what_is_secret_is_marked_in_the_contract() -> None:
    for message, expected in (
        (pb.LoginRequest, {"email", "password"}),
        (session_pb2.Session, {"access_token", "refresh_token"}),
        (user_pb2.User, {"email", "phone", "full_name"}),
    ):
        fields = message.DESCRIPTOR.fields
        assert {field.name for field in fields if field.GetOptions().debug_redact} == expected
