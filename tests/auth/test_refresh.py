"""Refresh tokens rotate; two tabs stay signed in and a thief does not."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from server.auth.keyed import KeyedHash, new_token
from server.core.clock import MovableClock
from tests.auth.auth_client import Auth, Connection, Person
from tests.counts import count
from tests.refusal import Refusal, refused


async def refresh(auth: Auth, token: str) -> str:
    return str((await auth.RefreshToken(refresh_token=token)).session.refresh_token)


async def over(auth: Auth, token: str) -> Refusal:
    refusal = await refused(auth.RefreshToken(refresh_token=token))
    assert refusal.reason == "SESSION_ENDED"
    return refusal


async def test_a_refresh_token_buys_a_new_pair_for_the_same_session(auth: Auth) -> None:
    person = await auth.person()
    session = (await auth.RefreshToken(refresh_token=person.session.refresh_token)).session
    assert session.session_id == person.session.session_id
    assert session.refresh_token != person.session.refresh_token
    said = auth.tokens.verify(session.access_token)
    assert (str(said.user_id), said.role) == (person.user.user_id, "patient")
    assert (await auth.GetProfile(token=session.access_token)).user == person.user


async def test_refreshing_goes_on(auth: Auth, clock: MovableClock) -> None:
    token = (await auth.person()).session.refresh_token
    for _ in range(5):
        clock.advance(timedelta(minutes=15))
        token = await refresh(auth, token)


async def test_a_lost_answer_is_answered_again_with_the_same_token(
    auth: Auth, clock: MovableClock
) -> None:
    parent = (await auth.person()).session.refresh_token
    child = await refresh(auth, parent)
    clock.advance(timedelta(seconds=9))
    assert await refresh(auth, parent) == child
    assert await refresh(auth, child) not in {parent, child}


async def test_a_second_use_after_ten_seconds_ends_the_session(
    auth: Auth, clock: MovableClock
) -> None:
    person = await auth.person()
    child = await refresh(auth, person.session.refresh_token)
    clock.advance(timedelta(seconds=11))
    await over(auth, person.session.refresh_token)
    await over(auth, child)
    assert (await refused(auth.GetProfile(token=person.token))).reason == "UNAUTHENTICATED"


async def test_a_second_use_ends_no_other_session(auth: Auth, clock: MovableClock) -> None:
    person = await auth.person()
    other = await auth.login(person.email)
    await refresh(auth, person.session.refresh_token)
    clock.advance(timedelta(seconds=11))
    await over(auth, person.session.refresh_token)
    await refresh(auth, other.session.refresh_token)


async def test_a_grandparent_is_not_tolerated(auth: Auth) -> None:
    grandparent = (await auth.person()).session.refresh_token
    parent = await refresh(auth, grandparent)
    child = await refresh(auth, parent)
    await over(auth, grandparent)
    await over(auth, child)


async def test_the_end_by_reuse_is_written_down(live: Auth, owner: Connection) -> None:
    person = await live.person()
    child = await refresh(live, person.session.refresh_token)
    await refresh(live, child)
    await over(live, person.session.refresh_token)
    session_id = UUID(person.session.session_id)
    reason = await owner.fetchval(
        "SELECT end_reason FROM session WHERE session_id = $1", session_id
    )
    audited = await owner.fetch("SELECT action FROM audit WHERE subject_id = $1", session_id)
    assert reason == "token_reuse"
    assert {row["action"] for row in audited} == {"session.opened", "session.ended_by_token_reuse"}


async def test_an_unused_token_ends_after_thirty_days(auth: Auth, clock: MovableClock) -> None:
    token = (await auth.person()).session.refresh_token
    clock.advance(timedelta(days=29))
    token = await refresh(auth, token)
    clock.advance(timedelta(days=30))
    await over(auth, token)


async def test_no_session_outlives_half_a_year(auth: Auth, clock: MovableClock) -> None:
    token = (await auth.person()).session.refresh_token
    for _ in range(7):
        clock.advance(timedelta(days=25))
        token = await refresh(auth, token)
    clock.advance(timedelta(days=5))
    await over(auth, token)


@pytest.mark.parametrize("token", ["x", "Q" * 43, "\u00e9" * 40, "a" * 256])
async def test_a_token_that_nobody_gave_is_refused(auth: Auth, token: str) -> None:
    await over(auth, token)


@pytest.mark.parametrize("token", ["", "a" * 257])
async def test_an_invalid_field_is_named(auth: Auth, token: str) -> None:
    refusal = await refused(auth.RefreshToken(refresh_token=token))
    assert list(refusal.fields) == ["refresh_token"]


async def test_an_access_token_is_no_refresh_token(auth: Auth) -> None:
    person = await auth.person()
    assert len(person.token) > 256
    refusal = await refused(auth.RefreshToken(refresh_token=person.token))
    assert refusal.reason == "INVALID_FIELD"


async def test_a_refresh_token_is_no_access_token(auth: Auth) -> None:
    person = await auth.person()
    refusal = await refused(auth.GetProfile(token=person.session.refresh_token))
    assert refusal.reason == "UNAUTHENTICATED"


async def test_a_disabled_person_gets_no_more_tokens(live: Auth, owner: Connection) -> None:
    person = await live.person()
    await owner.execute(
        "UPDATE user_account SET status = 'disabled' WHERE user_id = $1", UUID(person.user.user_id)
    )
    await over(live, person.session.refresh_token)


async def test_two_tabs_at_once_get_the_same_token(live: Auth) -> None:
    for _ in range(10):
        parent = (await live.person()).session.refresh_token
        children = await asyncio.gather(*(refresh(live, parent) for _ in range(8)))
        assert len(set(children)) == 1
        await refresh(live, children[0])


async def test_a_family_never_has_two_live_children(live: Auth, owner: Connection) -> None:
    families, uses = count(20, deep=200), 10
    people = [await live.person(address=f"2001:db8:{n:x}::1") for n in range(families)]
    parents = [person.session.refresh_token for person in people] * uses
    children = await asyncio.gather(*(refresh(live, parent) for parent in parents))
    assert len(set(children)) == families
    ids = [UUID(person.session.session_id) for person in people]
    unspent = await owner.fetch(
        "SELECT count(*) AS live FROM refresh_token WHERE session_id = ANY ($1)"
        " AND spend_time IS NULL GROUP BY session_id",
        ids,
    )
    assert [row["live"] for row in unspent] == [1] * families
    await owner.execute(
        "UPDATE refresh_token SET spend_time = spend_time - interval '11 s'"
        " WHERE session_id = ANY ($1)",
        ids,
    )
    await asyncio.gather(*(over(live, parent) for parent in parents[:families]))
    await asyncio.gather(*(over(live, child) for child in set(children)))


async def test_tabs_that_refresh_in_step_stay_signed_in(live: Auth) -> None:
    token = (await live.person()).session.refresh_token
    for _ in range(10):
        one, other = await asyncio.gather(refresh(live, token), refresh(live, token))
        assert one == other
        token = one


async def test_logging_out_during_a_refresh_leaves_no_live_token(live: Auth) -> None:
    for _ in range(10):
        person: Person = await live.person()
        parent = person.session.refresh_token
        answers = await asyncio.gather(
            live.Logout(token=person.token), refresh(live, parent), return_exceptions=True
        )
        last = answers[1] if isinstance(answers[1], str) else parent
        await over(live, last)


async def test_a_key_change_does_not_log_out_who_repeats_at_that_moment(live: Auth) -> None:
    parent = (await live.person()).session.refresh_token
    child = await refresh(live, parent)
    live.rotate_refresh_key()
    assert await refresh(live, parent) == child


def test_successors_need_the_key() -> None:
    one, other = KeyedHash([b"1" * 32]), KeyedHash([b"2" * 32, b"1" * 32])
    token = new_token()
    assert one.successor(token) == one.successor(token) != other.successor(token)
    assert one.successor(token) in other.successors(token)
    assert one.successor(token) != one.successor(new_token())


def test_a_short_key_is_refused() -> None:
    for keys in ([], [b"1" * 31], [b"1" * 32, b"2"]):
        with pytest.raises(ValueError, match="32 bytes"):
            KeyedHash(keys)


async def test_another_session_cannot_be_named_by_a_token(auth: Auth) -> None:
    assert (await over(auth, str(uuid4()))).text == (await over(auth, new_token())).text
