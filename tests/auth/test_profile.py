"""The own profile and password: seen and changed by nobody else."""

import asyncio
from typing import Any
from uuid import UUID

import grpc
import pytest

from server.auth.passwords import COMMON_RULE
from tests.auth.auth_client import PASSWORD, Auth, Connection
from tests.refusal import refused

NEW_PASSWORD = "another horse battery"


async def test_everybody_sees_their_own_profile(auth: Auth) -> None:
    one, other = await auth.person(), await auth.person()
    assert (await auth.GetProfile(token=one.token)).user == one.user
    assert (await auth.GetProfile(token=other.token)).user == other.user


async def test_an_edit_writes_the_fields_of_the_mask_alone(auth: Auth) -> None:
    person = await auth.person(phone="+919820012345", language="hi")
    edited = (
        await auth.UpdateProfile(
            token=person.token, update_mask={"paths": ["full_name", "phone"]},
            full_name=" Asha R. Rao ", phone="", language="en",
        )
    ).user  # fmt: skip
    assert (edited.full_name, edited.phone, edited.language) == ("Asha R. Rao", "", "hi")
    assert edited.update_time.ToDatetime() > person.user.update_time.ToDatetime()
    assert edited.create_time == person.user.create_time
    assert (await auth.GetProfile(token=person.token)).user == edited


async def test_an_edit_without_a_mask_writes_what_is_not_empty(auth: Auth) -> None:
    person = await auth.person(phone="+919820012345")
    edited = (await auth.UpdateProfile(token=person.token, time_zone="Asia/Kolkata")).user
    assert (edited.time_zone, edited.phone) == ("Asia/Kolkata", "+919820012345")


async def test_an_edit_touches_nobody_else(auth: Auth) -> None:
    person, stranger = await auth.person(), await auth.person()
    await auth.UpdateProfile(token=person.token, full_name="Somebody")
    assert (await auth.GetProfile(token=stranger.token)).user == stranger.user


async def test_the_same_edit_again_changes_nothing(auth: Auth) -> None:
    person = await auth.person()
    once = await auth.UpdateProfile(token=person.token, full_name="Asha R. Rao")
    again = await auth.UpdateProfile(token=person.token, full_name="Asha R. Rao")
    assert once.user.etag != person.user.etag
    assert again.user == once.user


async def test_an_edit_of_what_was_edited_since_is_refused(auth: Auth) -> None:
    person = await auth.person()
    etag = person.user.etag
    await auth.UpdateProfile(token=person.token, full_name="First", etag=etag)
    refusal = await refused(auth.UpdateProfile(token=person.token, full_name="Second", etag=etag))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    assert (await auth.GetProfile(token=person.token)).user.full_name == "First"


async def test_of_edits_at_once_with_one_etag_one_wins(live: Auth) -> None:
    person = await live.person()
    answers = await asyncio.gather(
        *(
            live.UpdateProfile(token=person.token, full_name=f"Name {n}", etag=person.user.etag)
            for n in range(8)
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(answer, grpc.aio.AioRpcError) for answer in answers) == 7


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"update_mask": {"paths": ["role"]}}, "update_mask"),
        ({"update_mask": {"paths": ["email", "full_name"]}}, "update_mask"),
        ({"update_mask": {"paths": ["full_name"]}}, "full_name"),
        ({"full_name": "A\0"}, "full_name"),
        ({"phone": "+91 12"}, "phone"),
        ({"phone": "12"}, "phone"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"language": "x"}, "language"),
        ({"etag": "x" * 65}, "etag"),
    ],
)
async def test_an_invalid_field_is_named(auth: Auth, fields: dict[str, Any], named: str) -> None:
    person = await auth.person()
    refusal = await refused(auth.UpdateProfile(token=person.token, **fields))
    assert (refusal.reason, list(refusal.fields)) == ("INVALID_FIELD", [named])


async def test_a_new_password_replaces_the_old_one(auth: Auth) -> None:
    person = await auth.person()
    await change(auth, person.token)
    assert (await auth.login(person.email, NEW_PASSWORD)).user == person.user
    assert (await refused(auth.login(person.email))).reason == "WRONG_CREDENTIALS"


async def test_a_new_password_ends_the_other_sessions(auth: Auth) -> None:
    person, stranger = await auth.person(), await auth.person()
    others = [await auth.login(person.email) for _ in range(2)]
    assert await change(auth, person.token) == 2
    for other in others:
        assert (await refused(auth.GetProfile(token=other.token))).reason == "UNAUTHENTICATED"
        refusal = await refused(auth.RefreshToken(refresh_token=other.session.refresh_token))
        assert refusal.reason == "SESSION_ENDED"
    await auth.GetProfile(token=person.token)
    await auth.RefreshToken(refresh_token=person.session.refresh_token)
    await auth.GetProfile(token=stranger.token)


async def test_a_repeated_change_succeeds(auth: Auth) -> None:
    person = await auth.person()
    await change(auth, person.token)
    assert await change(auth, person.token) == 0


async def test_a_wrong_current_password_changes_nothing(auth: Auth) -> None:
    person = await auth.person()
    refusal = await refused(change(auth, person.token, current_password="wrong horse"))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.PERMISSION_DENIED,
        "WRONG_CREDENTIALS",
    )
    await auth.login(person.email)


async def test_guesses_at_the_current_password_end_after_ten(auth: Auth) -> None:
    person = await auth.person()
    for _ in range(10):
        await refused(change(auth, person.token, current_password="wrong horse"))
    assert (await refused(change(auth, person.token))).reason == "RATE_LIMITED"


@pytest.mark.parametrize("password", ["short", "password1", "x" * 257])
async def test_a_weak_new_password_is_named(auth: Auth, password: str) -> None:
    person = await auth.person()
    refusal = await refused(change(auth, person.token, new_password=password))
    assert list(refusal.fields) == ["new_password"]
    assert password != "password1" or refusal.fields["new_password"] == COMMON_RULE


async def test_no_session_opens_with_a_password_that_is_being_replaced(
    live: Auth, owner: Connection
) -> None:
    person = await live.person()
    async with owner.transaction():
        await owner.execute(
            "UPDATE credential SET password_hash = 'new' WHERE user_id = $1",
            UUID(person.user.user_id),
        )
        sign_in = asyncio.create_task(live.login(person.email))
        done, _ = await asyncio.wait({sign_in}, timeout=0.5)
        assert not done
    assert (await refused(sign_in)).reason == "CONFLICT"


async def test_a_change_of_what_was_changed_since_is_refused(live: Auth, owner: Connection) -> None:
    person = await live.person()
    async with owner.transaction():
        await owner.execute(
            "UPDATE credential SET password_hash = 'new' WHERE user_id = $1",
            UUID(person.user.user_id),
        )
        changing = asyncio.create_task(change(live, person.token))
        done, _ = await asyncio.wait({changing}, timeout=0.5)
        assert not done
    assert (await refused(changing)).reason == "CONFLICT"


async def test_the_change_is_audited_without_the_values(live: Auth, owner: Connection) -> None:
    person = await live.person()
    await change(live, person.token)
    await live.UpdateProfile(token=person.token, full_name="Somebody Else")
    rows = await owner.fetch(
        "SELECT action, fields, actor_id::text FROM audit WHERE subject_id = $1 ORDER BY audit_id",
        person.user.user_id,
    )
    assert [tuple(row) for row in rows] == [
        ("user.registered", [], person.user.user_id),
        ("user.password_changed", ["password"], person.user.user_id),
        ("user.edited", ["full_name"], person.user.user_id),
    ]


async def change(auth: Auth, token: str, **fields: str) -> int:
    """Change the password and answer how many sessions that ended."""
    passwords = {"current_password": PASSWORD, "new_password": NEW_PASSWORD} | fields
    return int((await auth.ChangePassword(token=token, **passwords)).ended_count)
