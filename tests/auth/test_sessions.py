"""Who a token speaks for, and how soon it stops when the session ends."""

import asyncio
import contextlib
from datetime import timedelta
from uuid import UUID, uuid4

import grpc
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from prometheus_client import CollectorRegistry

from carelane.queue.v1 import queue_service_pb2 as queue_pb
from carelane.queue.v1 import queue_service_pb2_grpc
from server.auth.authenticator import TRUSTED_FOR, Authenticator, SessionOver
from server.auth.tokens import InvalidToken, SigningKey, Tokens
from server.core import log, rpc
from server.core.channel import InProcessChannel
from server.core.clock import MovableClock
from server.core.db import Database
from server.core.metrics import CallMetrics
from server.queue.servicer import QueueServicer
from tests.auth.auth_client import Auth, Connection
from tests.refusal import refused
from tests.rows import add
from tests.world import World


async def test_verify_tells_the_user_behind_the_token(auth: Auth) -> None:
    person = await auth.person()
    for answer in (
        await auth.VerifyToken(access_token=person.token),
        await auth.VerifyToken(token=person.token),
    ):
        assert answer.user == person.user
        assert answer.session_id == person.session.session_id
        assert answer.expire_time == person.session.access_token_expire_time


async def test_the_token_in_the_request_goes_before_that_of_the_call(auth: Auth) -> None:
    one, other = await auth.person(), await auth.person()
    answer = await auth.VerifyToken(token=one.token, access_token=other.token)
    assert answer.user == other.user


async def test_verify_refuses_no_token_and_a_wrong_one(auth: Auth) -> None:
    person = await auth.person()
    head, body, signature = person.token.split(".")
    forged = f"{head}.{body}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"
    for token in ("", "x", person.session.refresh_token, forged):
        refusal = await refused(auth.VerifyToken(access_token=token))
        assert refusal.code == grpc.StatusCode.UNAUTHENTICATED
        assert refusal.reason == "UNAUTHENTICATED"


async def test_verify_says_when_a_token_has_expired(auth: Auth, clock: MovableClock) -> None:
    person = await auth.person()
    clock.advance(timedelta(minutes=15))
    for call in (auth.VerifyToken(access_token=person.token), auth.GetProfile(token=person.token)):
        assert (await refused(call)).reason == "TOKEN_EXPIRED"


@pytest.mark.parametrize("method", ["GetProfile", "UpdateProfile", "ChangePassword", "Logout"])
async def test_without_a_token_nothing_personal_is_served(auth: Auth, method: str) -> None:
    passwords = {"current_password": "a" * 9, "new_password": "b" * 9}
    fields = passwords if method == "ChangePassword" else {}
    refusal = await refused(getattr(auth, method)(**fields))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.UNAUTHENTICATED,
        "UNAUTHENTICATED",
    )


async def test_logout_ends_this_session_at_once(auth: Auth) -> None:
    person = await auth.person()
    other = await auth.login(person.email)
    assert (await auth.Logout(token=person.token)).ended_count == 1
    assert (await refused(auth.GetProfile(token=person.token))).reason == "UNAUTHENTICATED"
    refusal = await refused(auth.RefreshToken(refresh_token=person.session.refresh_token))
    assert refusal.reason == "SESSION_ENDED"
    assert (await auth.GetProfile(token=other.token)).user == person.user


async def test_logout_of_all_ends_all_of_this_person_only(auth: Auth) -> None:
    person, stranger = await auth.person(), await auth.person()
    other = await auth.login(person.email)
    assert (await auth.Logout(token=person.token, all=True)).ended_count == 2
    for session in (person, other):
        assert (await refused(auth.GetProfile(token=session.token))).reason == "UNAUTHENTICATED"
    assert (await auth.GetProfile(token=stranger.token)).user == stranger.user


async def test_another_process_notices_an_end_within_a_minute(auth: Auth) -> None:
    person = await auth.person()
    elsewhere = Authenticator(auth.db, auth.tokens)
    await elsewhere(person.token)
    await auth.Logout(token=person.token)
    auth.db.clock.advance(timedelta(seconds=10))
    with pytest.raises(SessionOver):
        await elsewhere(person.token)


async def test_a_disabled_person_is_out_within_a_minute(live: Auth, owner: Connection) -> None:
    person, clock = await live.person(), MovableClock()
    elsewhere = Authenticator(Database(live.db._pool, clock), live.tokens)
    await elsewhere(person.token)
    await owner.execute(
        "UPDATE user_account SET status = 'disabled' WHERE user_id = $1", UUID(person.user.user_id)
    )
    clock.advance(timedelta(seconds=10))
    with pytest.raises(SessionOver):
        await elsewhere(person.token)


async def test_an_open_stream_ends_with_its_session(
    live: Auth, live_world: World, owner: Connection
) -> None:
    practice = await live_world.practice()
    doctor, session_id, now = practice.doctor.user_id, uuid4(), live.db.clock.now()
    times = {"create_time": now, "expire_time": now + timedelta(days=1)}
    ids = {"session_id": session_id, "user_id": doctor}
    await add(owner, "session", **ids, **times, network_hash=b"x")
    clock = MovableClock()
    registry = rpc.Registry(
        Authenticator(Database(live.db._pool, clock), live.tokens),
        logger=log.logger("CRITICAL"),
        metrics=CallMetrics(CollectorRegistry()),
        limits=rpc.Limits(recheck=0.05),
    )
    queue_service_pb2_grpc.add_QueueServiceServicer_to_server(QueueServicer(live.db), registry)
    async with InProcessChannel(registry) as channel, asyncio.timeout(10):
        token, _ = live.tokens.sign(doctor, "doctor", session_id)
        call = queue_service_pb2_grpc.QueueServiceStub(channel).WatchQueue(
            queue_pb.WatchQueueRequest(practice_id=str(practice.practice_id)),
            metadata=[("authorization", f"Bearer {token}")],
        )
        await call.read()
        await owner.execute(
            "UPDATE session SET end_time = now(), end_reason = 'revocation' WHERE session_id = $1",
            session_id,
        )
        clock.advance(TRUSTED_FOR)
        with pytest.raises(grpc.aio.AioRpcError) as error:
            while await call.read() is not grpc.aio.EOF:
                pass
    assert error.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_a_stream_is_looked_at_within_a_minute() -> None:
    assert rpc.Limits().recheck + TRUSTED_FOR.total_seconds() <= 60


async def test_a_role_that_changed_needs_a_new_token(live: Auth, owner: Connection) -> None:
    person = await live.person()
    await owner.execute(
        "UPDATE user_account SET role = 'staff' WHERE user_id = $1", UUID(person.user.user_id)
    )
    with pytest.raises(SessionOver):
        await Authenticator(live.db, live.tokens)(person.token)
    session = (await live.RefreshToken(refresh_token=person.session.refresh_token)).session
    assert (await live.authenticator(session.access_token)).role == "staff"


async def test_a_signed_token_without_its_session_is_refused(auth: Auth) -> None:
    person, stranger = await auth.person(), await auth.person()
    user_id, session_id = UUID(person.user.user_id), UUID(stranger.session.session_id)
    for token, _ in (
        auth.tokens.sign(user_id, "patient", uuid4()),
        auth.tokens.sign(user_id, "patient", session_id),
        auth.tokens.sign(user_id, "admin", UUID(person.session.session_id)),
    ):
        with pytest.raises(SessionOver):
            await auth.authenticator(token)


async def test_a_token_of_a_stranger_signer_never_reaches_the_database(auth: Auth) -> None:
    person = await auth.person()
    stranger = Tokens(
        [SigningKey("k1", Ed25519PrivateKey.generate())],
        issuer="https://carelane.example", audience="carelane", clock=auth.db.clock,
    )  # fmt: skip
    forged, _ = stranger.sign(UUID(person.user.user_id), "patient", UUID(person.session.session_id))
    queries = await statements(auth, forged)
    assert queries == 0


async def test_the_common_call_costs_no_query_for_its_token(auth: Auth) -> None:
    person = await auth.person()
    fresh = Authenticator(auth.db, auth.tokens)
    auth.authenticator = fresh
    assert await statements(auth, person.token) > 0
    assert await statements(auth, person.token) == 0


async def statements(auth: Auth, token: str) -> int:
    """How many look-ups the token costs."""
    seen: list[str] = []

    def note(record: object) -> None:
        seen.append(record.query)  # type: ignore[attr-defined]

    with auth.db.connection.query_logger(note), contextlib.suppress(InvalidToken):
        await auth.authenticator(token)
    return sum("find_session" in query for query in seen)


async def test_what_is_remembered_is_bounded(auth: Auth) -> None:
    small = Authenticator(auth.db, auth.tokens, remembered=3)
    email = await auth.register()
    for _ in range(5):
        await small((await auth.login(email)).token)
    assert len(small._remembered) == 3


async def test_the_published_keys_verify_a_token(auth: Auth) -> None:
    person = await auth.person()
    (key,) = (await auth.GetJwks()).keys
    assert (key.kty, key.crv, key.alg, key.use) == ("OKP", "Ed25519", "EdDSA", "sig")
    public = jwt.PyJWK({"kty": key.kty, "crv": key.crv, "x": key.x, "kid": key.kid})
    claims = jwt.decode(person.token, public, algorithms=[key.alg], audience="carelane")
    assert claims["sub"] == person.user.user_id
