"""A person sees their devices, ends one of them, and proves again that it is them."""

from datetime import timedelta
from uuid import UUID, uuid4

import grpc
import pytest

from server.auth import own_sessions
from server.auth.devices import device
from server.auth.own_sessions import ReauthenticationRequired
from server.core.access import Caller
from server.core.clock import MovableClock
from tests.auth.auth_client import PASSWORD, Auth, Person
from tests.refusal import refused

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


async def require_proof(auth: Auth, person: Person) -> None:
    said = auth.tokens.verify(person.token)
    async with auth.db.transaction(Caller(said.user_id, said.role, said.session_id)) as tx:
        await own_sessions.require_proof(tx)


async def test_a_person_sees_their_devices_and_which_one_this_is(
    auth: Auth, clock: MovableClock
) -> None:
    email = await auth.register()
    first = await auth.login(email, agent=FIREFOX, address="203.0.113.77")
    clock.advance(timedelta(hours=1))
    second = await auth.login(email, agent="grpc-swift-nio/1.2", address="2001:db8:7:9::1")
    await auth.person()
    shown = (await auth.ListSessions(token=second.token)).sessions
    assert [(each.session_id, each.device, each.network, each.current) for each in shown] == [
        (second.session.session_id, "App", "2001:db8:7::/48", True),
        (first.session.session_id, "Firefox on Linux", "203.0.113.0/24", False),
    ]


async def test_a_session_tells_when_it_was_last_used(auth: Auth, clock: MovableClock) -> None:
    person = await auth.person()
    clock.advance(timedelta(minutes=14))
    await auth.RefreshToken(refresh_token=person.session.refresh_token)
    (shown,) = (await auth.ListSessions(token=person.token)).sessions
    used = shown.use_time.ToDatetime() - shown.create_time.ToDatetime()
    assert timedelta(minutes=14) <= used < timedelta(minutes=15)


async def test_sessions_come_in_pages(auth: Auth) -> None:
    person = await auth.person()
    others = [await auth.login(person.email) for _ in range(4)]
    seen: list[str] = []
    token = ""
    while not seen or token:
        page = await auth.ListSessions(token=person.token, page_size=2, page_token=token)
        seen += [each.session_id for each in page.sessions]
        token = page.next_page_token
    ids = [each.session.session_id for each in (person, *others)]
    assert sorted(seen) == sorted(ids)


async def test_a_revoked_session_is_out_at_once(auth: Auth) -> None:
    person = await auth.person()
    lost = await auth.login(person.email)
    for _ in range(2):
        await auth.RevokeSession(token=person.token, session_id=lost.session.session_id)
    assert (await refused(auth.GetProfile(token=lost.token))).reason == "UNAUTHENTICATED"
    refusal = await refused(auth.RefreshToken(refresh_token=lost.session.refresh_token))
    assert refusal.reason == "SESSION_ENDED"
    (left,) = (await auth.ListSessions(token=person.token)).sessions
    assert left.session_id == person.session.session_id


async def test_the_session_of_another_is_not_found(auth: Auth) -> None:
    person, stranger = await auth.person(), await auth.person()
    refusals = [
        await refused(auth.RevokeSession(token=person.token, session_id=session_id))
        for session_id in (stranger.session.session_id, str(uuid4()))
    ]
    assert refusals[0] == refusals[1]
    assert refusals[0].code == grpc.StatusCode.NOT_FOUND
    assert (await auth.GetProfile(token=stranger.token)).user == stranger.user


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("ListSessions", {}),
        ("RevokeSession", {"session_id": str(UUID(int=1))}),
        ("Reauthenticate", {"password": PASSWORD}),
    ],
)
async def test_without_a_token_nothing_is_told(
    auth: Auth, method: str, fields: dict[str, str]
) -> None:
    assert (await refused(getattr(auth, method)(**fields))).reason == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    ("method", "fields", "named"),
    [
        ("ListSessions", {"page_size": -1}, "page_size"),
        ("ListSessions", {"page_token": "x"}, "page_token"),
        ("RevokeSession", {"session_id": "mine"}, "session_id"),
        ("Reauthenticate", {"password": ""}, ""),
        ("Reauthenticate", {"password": "x", "code": "123456"}, ""),
        ("Reauthenticate", {"code": "12345"}, "code"),
    ],
)
async def test_an_invalid_field_is_named(
    auth: Auth, method: str, fields: dict[str, object], named: str
) -> None:
    person = await auth.person()
    refusal = await refused(getattr(auth, method)(token=person.token, **fields))
    assert list(refusal.fields) == [named]


async def test_a_sign_in_is_a_proof_for_ten_minutes(auth: Auth, clock: MovableClock) -> None:
    person = await auth.person()
    clock.advance(timedelta(minutes=9))
    await require_proof(auth, person)
    clock.advance(timedelta(minutes=2))
    with pytest.raises(ReauthenticationRequired):
        await require_proof(auth, person)


async def test_the_password_proves_it_again_for_this_session_alone(
    auth: Auth, clock: MovableClock
) -> None:
    person = await auth.person()
    other = await auth.login(person.email)
    clock.advance(timedelta(minutes=12))
    await auth.Reauthenticate(token=person.token, password=PASSWORD)
    await require_proof(auth, person)
    with pytest.raises(ReauthenticationRequired):
        await require_proof(auth, other)


async def test_a_refreshed_token_is_no_proof(auth: Auth, clock: MovableClock) -> None:
    person = await auth.person()
    clock.advance(timedelta(minutes=12))
    await auth.RefreshToken(refresh_token=person.session.refresh_token)
    with pytest.raises(ReauthenticationRequired):
        await require_proof(auth, person)


async def test_a_wrong_password_proves_nothing_and_is_limited(
    auth: Auth, clock: MovableClock
) -> None:
    person = await auth.person()
    clock.advance(timedelta(minutes=12))
    for _ in range(10):
        guess = auth.Reauthenticate(token=person.token, password="wrong horse battery")
        refusal = await refused(guess)
        assert (refusal.code, refusal.reason) == (
            grpc.StatusCode.PERMISSION_DENIED,
            "WRONG_CREDENTIALS",
        )
    refusal = await refused(auth.Reauthenticate(token=person.token, password=PASSWORD))
    assert refusal.reason == "RATE_LIMITED"
    with pytest.raises(ReauthenticationRequired):
        await require_proof(auth, person)


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("", ""),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (Linux; Android 15) Chrome/140.0 Mobile Safari/537.36", "Chrome on Android"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0) Version/19.0 Safari/604.1", "Safari on iPhone"),
        ("grpc-java-okhttp/1.70", "App on Android"),
        ("curl/8.5.0", "Command line"),
        ("<script>", ""),
    ],
)
def test_a_device_is_named_by_its_family(agent: str, name: str) -> None:
    assert device(agent, "").name == name


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("198.51.100.9", "198.51.100.0/24"),
        ("::ffff:198.51.100.9", "198.51.100.0/24"),
        ("::1", "::/48"),
        ("unix:/run/x", ""),
    ],
)
def test_a_network_is_kept_coarsely(address: str, network: str) -> None:
    assert device("", address).network == network
