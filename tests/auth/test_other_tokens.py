"""What is a secret of ours, or looks like an access token, opens nothing at the door."""

import socket
from collections.abc import Awaitable, Callable
from uuid import uuid4

import grpc
import jwt
import pytest

from server.account.tokens import ProofTokens
from tests.auth.auth_client import PASSWORD, Auth, Person
from tests.factor.device import add_app, begin
from tests.refusal import refused

KEYS = [b"a key of the tests, 32 bytes long"]


async def refresh_token(_: Auth, person: Person) -> str:
    return person.session.refresh_token


async def spent_refresh_token(auth: Auth, person: Person) -> str:
    await auth.RefreshToken(refresh_token=person.session.refresh_token)
    return person.session.refresh_token


async def pending_token(auth: Auth, person: Person) -> str:
    await add_app(auth, person)
    return await begin(auth, person)


async def recovery_code(auth: Auth, person: Person) -> str:
    _, codes = await add_app(auth, person)
    return codes[0]


async def reset_token(_: Auth, __: Person) -> str:
    return ProofTokens(KEYS).token("reset_password", uuid4())


async def page_token(auth: Auth, person: Person) -> str:
    for _ in range(2):
        await auth.login(person.email)
    return str((await auth.ListSessions(token=person.token, page_size=1)).next_page_token)


async def password(_: Auth, __: Person) -> str:
    return PASSWORD


async def session_id(_: Auth, person: Person) -> str:
    return person.session.session_id


async def without_signature(_: Auth, person: Person) -> str:
    return person.token.rpartition(".")[0] + "."


async def signed_with_the_public_key(auth: Auth, person: Person) -> str:
    said = jwt.decode(person.token, options={"verify_signature": False})
    (key,) = (await auth.GetJwks()).keys
    header = {"typ": "at+jwt", "kid": key.kid}
    return jwt.encode(said, key.x.encode(), "HS256", header)


async def of_4_kib(_: Auth, person: Person) -> str:
    return person.token + "A" * 4096


KINDS: tuple[Callable[[Auth, Person], Awaitable[str]], ...] = (
    *(refresh_token, spent_refresh_token, pending_token, recovery_code, reset_token),
    *(page_token, password, session_id, without_signature, signed_with_the_public_key, of_4_kib),
)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
async def test_it_is_no_access_token(
    auth: Auth, kind: Callable[[Auth, Person], Awaitable[str]]
) -> None:
    token = await kind(auth, await auth.person())
    assert (await refused(auth.GetProfile(token=token))).reason == "UNAUTHENTICATED"
    assert (await refused(auth.Logout(token=token, all=True))).reason == "UNAUTHENTICATED"


async def test_a_token_of_64_kib_never_reaches_the_server(auth: Auth) -> None:
    person = await auth.person()
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await auth.GetProfile(token=person.token + "A" * 65_536)
    assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_two_authorizations_open_nothing(auth: Auth) -> None:
    person, stranger = await auth.person(), await auth.person()
    for second in (stranger.token, person.token, "x"):
        token = f"{person.token},Bearer {second}"
        assert (await refused(auth.GetProfile(token=token))).reason == "UNAUTHENTICATED"
        metadata = [("authorization", f"Bearer {each}") for each in (person.token, second)]
        assert (await refused(auth.ask("GetProfile", metadata))).reason == "UNAUTHENTICATED"


async def test_the_door_calls_nobody(auth: Auth, monkeypatch: pytest.MonkeyPatch) -> None:
    person = await auth.person()
    key = jwt.get_unverified_header(person.token)["kid"]
    header = {"typ": "at+jwt", "kid": key, "jku": "http://127.0.0.1:9/keys"}
    said = jwt.decode(person.token, options={"verify_signature": False})
    token = jwt.encode(said, auth.tokens._signer.private_key, "EdDSA", header)
    called: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda *to: called.append(to))
    assert (await refused(auth.GetProfile(token=token))).reason == "UNAUTHENTICATED"
    assert not called
