"""Owners and managers keep the keys of their clinic, administrators those of the platform."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest

from carelane.key.v1 import key_pb2
from server.key.secret import PREFIX, is_well_formed
from tests.key.conftest import ADMIN, Keys
from tests.refusal import refused
from tests.world import World

CODE = grpc.StatusCode


async def test_a_key_is_made_with_a_secret_that_nothing_shows_again(keys: Keys) -> None:
    made = await keys.make("schedule.read", "availability.read")
    assert is_well_formed(made.secret)
    assert made.key.kind == key_pb2.KEY_KIND_PARTNER
    assert made.key.scopes == ["availability.read", "schedule.read"]
    assert made.secret.startswith(made.key.secret_prefix)
    assert len(made.key.secret_prefix) < len(PREFIX) + 10
    (listed,) = await listed_keys(keys)
    assert listed == made.key
    assert made.secret not in str(listed)


async def listed_keys(keys: Keys, **fields: Any) -> list[Any]:
    fields = {"clinic_id": keys.at.clinic_id} | fields
    return list((await keys.world.call("ListKeys", keys.at.owner, **fields)).keys)


async def test_a_repeat_makes_no_other_key_and_has_no_secret(keys: Keys) -> None:
    fields = {"request_id": uuid4(), "clinic_id": keys.at.clinic_id, "name": "A"}
    fields |= {"scopes": ["schedule.read"]}
    first = await keys.world.call("CreateKey", keys.at.owner, **fields)
    again = await keys.world.call("CreateKey", keys.at.owner, **fields)
    assert (again.key, again.secret) == (first.key, "")
    other = keys.world.call("CreateKey", keys.at.owner, **(fields | {"name": "B"}))
    assert (await refused(other)).reason == "REQUEST_ID_REUSED"
    assert len(await listed_keys(keys)) == 1


async def test_a_list_goes_on_where_a_page_ends(keys: Keys) -> None:
    made = []
    for _ in range(3):
        made.append((await keys.make()).key.key_id)
        keys.world.db.clock.advance(timedelta(seconds=1))  # type: ignore[attr-defined]
    at = {"clinic_id": keys.at.clinic_id, "page_size": 2}
    first = await keys.world.call("ListKeys", keys.at.owner, **at)
    last = await keys.world.call("ListKeys", keys.at.owner, **at, page_token=first.next_page_token)
    assert [key.key_id for key in (*first.keys, *last.keys)] == made
    assert not last.next_page_token


async def test_a_manager_may_and_the_front_desk_may_not(keys: Keys) -> None:
    desk, manager = await keys.world.front_desk(keys.at), await keys.world.person("staff")
    await keys.world.member(keys.at.owner, keys.at.clinic_id, manager, "manager")
    at = {"clinic_id": keys.at.clinic_id}
    assert not (await keys.world.call("ListKeys", manager, **at)).keys
    assert (await refused(keys.world.call("ListKeys", desk, **at))).code == CODE.NOT_FOUND


async def test_what_is_anothers_does_not_exist(keys: Keys) -> None:
    made, other = await keys.make(), (await keys.world.practice()).owner
    fields = {"request_id": uuid4(), "key_id": made.key.key_id}
    at = {"clinic_id": keys.at.clinic_id}
    new = {"request_id": uuid4(), "name": "A", "scopes": ["schedule.read"]}
    for person in (other, keys.at.doctor, ADMIN):
        for name, asked in (
            ("RotateKey", fields),
            ("RevokeKey", fields),
            ("ListKeys", at),
            ("CreateKey", at | new),
        ):
            refusal = await refused(keys.world.call(name, person, **asked))
            assert (refusal.code, refusal.reason) == (CODE.NOT_FOUND, "NOT_FOUND"), name
    await keys.exchange(made)


@pytest.mark.parametrize("name", ["GetScopes", "CreateKey", "ListKeys", "RotateKey", "RevokeKey"])
async def test_nobody_keeps_keys_without_signing_in(keys: Keys, name: str) -> None:
    assert (await refused(keys.world.call(name))).code == CODE.UNAUTHENTICATED


@pytest.mark.parametrize("name", ["GetScopes", "CreateKey", "ListKeys", "RotateKey", "RevokeKey"])
async def test_a_key_keeps_no_keys(keys: Keys, name: str) -> None:
    program = await keys.program("schedule.read", "patients.read", "availability.read")
    refusal = await refused(keys.world.call(name, program))
    assert (refusal.code, refusal.reason) == (CODE.PERMISSION_DENIED, "SCOPE_MISSING")


async def test_administrators_alone_make_keys_of_the_platform(keys: Keys) -> None:
    made = await keys.make("audit.read", by=ADMIN)
    assert (made.key.kind, made.key.clinic_id) == (key_pb2.KEY_KIND_SERVICE, "")
    listed = (await keys.world.call("ListKeys", ADMIN)).keys
    assert made.key in listed
    new = {"request_id": uuid4(), "name": "A", "scopes": ["audit.read"]}
    for name, asked in (("ListKeys", {}), ("CreateKey", new)):
        refusal = await refused(keys.world.call(name, keys.at.owner, **asked))
        assert refusal.code == CODE.PERMISSION_DENIED


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("request_id", "1"),
        ("clinic_id", "here"),
        ("name", ""),
        ("name", "   "),
        ("name", "a" * 101),
        ("scopes", []),
        ("scopes", ["audit.read"]),
        ("scopes", ["schedule.*"]),
        ("scopes", ["schedule.read"] * 21),
    ],
)
async def test_a_key_with_a_wrong_field_is_refused(keys: Keys, field: str, value: Any) -> None:
    fields = {"request_id": uuid4(), "clinic_id": keys.at.clinic_id, "name": "A"}
    fields |= {"scopes": ["schedule.read"], field: value}
    refusal = await refused(keys.world.call("CreateKey", keys.at.owner, **fields))
    assert refusal.code == CODE.INVALID_ARGUMENT
    assert {name.partition("[")[0] for name in refusal.fields} == {field}


@pytest.mark.parametrize("minutes", [-1, 10_081])
async def test_an_overlap_of_more_than_a_week_is_refused(keys: Keys, minutes: int) -> None:
    refusal = await refused(keys.rotate(await keys.make(), minutes))
    assert [*refusal.fields] == ["overlap_minutes"]


async def test_both_secrets_are_accepted_for_the_overlap(keys: Keys) -> None:
    made = await keys.make()
    rotated = await keys.rotate(made, 30)
    assert rotated.secret != made.secret
    assert rotated.key.overlap_end_time.ToSeconds() > rotated.key.create_time.ToSeconds()
    for each in (made, rotated):
        await keys.exchange(each)
    keys.world.db.clock.advance(timedelta(minutes=30))  # type: ignore[attr-defined]
    assert (await refused(keys.exchange(made))).reason == "WRONG_CREDENTIALS"
    await keys.exchange(rotated)
    (listed,) = await listed_keys(keys)
    assert not listed.HasField("overlap_end_time")


async def test_no_more_than_two_secrets_are_accepted(keys: Keys) -> None:
    first = await keys.make()
    second = await keys.rotate(first, 30)
    await keys.rotate(second, 30)
    assert (await refused(keys.exchange(first))).reason == "WRONG_CREDENTIALS"
    await keys.exchange(second)


async def test_a_repeated_rotation_makes_no_other_secret(keys: Keys) -> None:
    made, request_id = await keys.make(), uuid4()
    rotated = await keys.rotate(made, request_id=request_id)
    again = await keys.rotate(made, request_id=request_id)
    assert (again.key, again.secret) == (rotated.key, "")
    await keys.exchange(rotated)


async def test_a_revoked_key_is_listed_and_stays_revoked(keys: Keys) -> None:
    made = await keys.make()
    revoked = (await keys.revoke(made)).key
    keys.world.db.clock.advance(timedelta(minutes=1))  # type: ignore[attr-defined]
    assert (await keys.revoke(made)).key == revoked
    assert await listed_keys(keys) == [revoked]
    assert (await refused(keys.rotate(made))).reason == "KEY_REVOKED"


async def test_what_people_do_to_keys_is_written_down(keys: Keys) -> None:
    made = await keys.make()
    await keys.rotate(made)
    await keys.revoke(made)
    await keys.revoke(made)
    wanted = {"filter": {"object_id": made.key.key_id}}
    found = await keys.world.call(
        "ListClinicAuditEntries", keys.at.owner, clinic_id=keys.at.clinic_id, **wanted
    )
    entries = [(entry.act, entry.actor_id) for entry in reversed(found.entries)]
    owner = str(keys.at.owner.user_id)
    assert entries == [(act, owner) for act in ("key.created", "key.rotated", "key.revoked")]
    assert made.secret not in str(found)


async def test_of_rotations_at_once_each_waits_for_the_other(live_world: World) -> None:
    keys = Keys(live_world, await live_world.practice())
    made = await keys.make()
    rotated = await asyncio.gather(*(keys.rotate(made, 5) for _ in range(6)))
    accepted = [each for each in (made, *rotated) if await is_accepted(keys, each)]
    assert len(accepted) == 2
    assert made not in accepted


async def is_accepted(keys: Keys, made: Any) -> bool:
    try:
        await keys.exchange(made)
    except grpc.aio.AioRpcError as error:
        return error.code() != CODE.UNAUTHENTICATED
    return True
