"""Administrators and owners of clinics do nothing but add a second factor while they have none."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest
from prometheus_client import CollectorRegistry

from carelane.auth.v1 import auth_service_pb2 as auth_pb
from carelane.auth.v1 import auth_service_pb2_grpc
from server.auth.authenticator import Authenticator
from server.core import log, rpc
from server.core.access import ANONYMOUS, ANYONE, SIGNED_IN, Caller, Rule
from server.core.channel import InProcessChannel
from server.core.clock import MovableClock
from server.core.db import Database
from server.core.errors import PermissionDenied, SecondFactorRequired
from server.core.metrics import CallMetrics
from tests.auth.auth_client import Auth, Connection, Person
from tests.factor.device import Passkey, add_app, add_passkey, begin
from tests.refusal import refused
from tests.rows import add, add_clinic


async def administrator(auth: Auth, owner: Connection) -> Person:
    email = await auth.register()
    await owner.execute("UPDATE user_account SET role = 'admin' WHERE email = $1", email)
    return await auth.login(email)


async def member(auth: Auth, owner: Connection, role: str) -> Person:
    person = await auth.person()
    clinic_id, user_id = await add_clinic(owner), UUID(person.user.user_id)
    await add(owner, "clinic_member", clinic_id=clinic_id, user_id=user_id, role=role)
    return person


async def assert_may_only_add_one(auth: Auth, person: Person) -> None:
    for call in (
        auth.UpdateProfile(token=person.token, full_name="Vera Roy"),
        auth.ListSessions(token=person.token),
        auth.RenewRecoveryCodes(token=person.token),
    ):
        refusal = await refused(call)
        assert (refusal.code, refusal.reason) == (
            grpc.StatusCode.FAILED_PRECONDITION,
            "SECOND_FACTOR_REQUIRED",
        )
    assert (await auth.GetProfile(token=person.token)).user.email == person.email
    assert (await auth.ListFactors(token=person.token)).required


async def test_an_administrator_adds_one_and_goes_on(strict: Auth, owner: Connection) -> None:
    person = await administrator(strict, owner)
    await assert_may_only_add_one(strict, person)
    app, _ = await add_app(strict, person)
    await strict.ListSessions(token=person.token)
    token = await begin(strict, person)
    done = await strict.CompleteLogin(pending_token=token, code=app.code())
    await strict.ListSessions(token=done.session.access_token)


async def test_a_passkey_will_do(strict: Auth, owner: Connection) -> None:
    person = await administrator(strict, owner)
    await add_passkey(strict, person, Passkey())
    await strict.ListSessions(token=person.token)


async def test_the_owner_of_a_clinic_needs_one_and_who_works_there_does_not(
    strict: Auth, owner: Connection
) -> None:
    await assert_may_only_add_one(strict, await member(strict, owner, "owner"))
    for role in ("manager", "front_desk", "doctor"):
        person = await member(strict, owner, role)
        await strict.ListSessions(token=person.token)
        assert not (await strict.ListFactors(token=person.token)).required


async def test_another_session_gives_the_factor_to_go_on(strict: Auth, owner: Connection) -> None:
    person = await administrator(strict, owner)
    before = await strict.login(person.email)
    app, _ = await add_app(strict, person)
    await assert_may_only_add_one(strict, before)
    await strict.Reauthenticate(token=before.token, code=app.code())
    await strict.ListSessions(token=before.token)


async def test_another_session_gives_a_passkey_to_go_on(strict: Auth, owner: Connection) -> None:
    person, passkey = await administrator(strict, owner), Passkey()
    before = await strict.login(person.email)
    await add_passkey(strict, person, passkey)
    options = (await strict.BeginPasskeyCheck(token=before.token)).options
    await strict.Reauthenticate(token=before.token, passkey=passkey.get(options))
    await strict.ListSessions(token=before.token)


class Listening(auth_service_pb2_grpc.AuthServiceServicer):
    """Notes who calls where anyone may."""

    async def GetJwks(self, request: Any, context: Any) -> auth_pb.GetJwksResponse:
        self.caller = rpc.caller()
        return auth_pb.GetJwksResponse()


@pytest.mark.parametrize("needs_factor", [True, False])
async def test_who_lacks_a_factor_is_nobody_where_anyone_may_call(needs_factor: bool) -> None:
    caller, servicer = Caller(uuid4(), "admin", uuid4(), needs_factor), Listening()

    async def authenticate(_: str) -> Caller:
        return caller

    registry = rpc.Registry(
        authenticate, logger=log.logger("CRITICAL"), metrics=CallMetrics(CollectorRegistry())
    )
    auth_service_pb2_grpc.add_AuthServiceServicer_to_server(servicer, registry)
    async with InProcessChannel(registry) as channel:
        stub = auth_service_pb2_grpc.AuthServiceStub(channel)
        await stub.GetJwks(auth_pb.GetJwksRequest(), metadata=[("authorization", "Bearer x")])
    assert servicer.caller == (ANONYMOUS if needs_factor else caller)


async def test_the_password_alone_is_no_second_factor(strict: Auth, owner: Connection) -> None:
    person = await administrator(strict, owner)
    await strict.Reauthenticate(token=person.token, password="correct horse battery")
    await assert_may_only_add_one(strict, person)


async def test_the_last_factor_of_who_needs_one_stays(strict: Auth, owner: Connection) -> None:
    person = await administrator(strict, owner)
    await add_app(strict, person)
    await add_passkey(strict, person, Passkey())
    first, second = (await strict.ListFactors(token=person.token)).factors
    await strict.RemoveFactor(token=person.token, factor_id=first.factor_id)
    refusal = await refused(strict.RemoveFactor(token=person.token, factor_id=second.factor_id))
    assert refusal.reason == "SECOND_FACTOR_REQUIRED"


async def test_who_becomes_an_owner_needs_one_within_a_minute(
    live: Auth, owner: Connection
) -> None:
    person, clock = await live.person(), MovableClock()
    elsewhere = Authenticator(Database(live.db._pool, clock), live.tokens, second_factor=True)
    assert not (await elsewhere(person.token)).needs_factor
    ids = {"clinic_id": await add_clinic(owner), "user_id": UUID(person.user.user_id)}
    await add(owner, "clinic_member", **ids, role="owner")
    clock.advance(timedelta(seconds=10))
    assert (await elsewhere(person.token)).needs_factor


async def test_who_has_added_one_goes_on_in_every_process(strict: Auth, owner: Connection) -> None:
    person = await administrator(strict, owner)
    elsewhere = Authenticator(strict.db, strict.tokens, second_factor=True)
    assert (await elsewhere(person.token)).needs_factor
    await add_app(strict, person)
    assert not (await elsewhere(person.token)).needs_factor


async def test_where_it_is_not_required_an_administrator_goes_on_without(
    live: Auth, owner: Connection
) -> None:
    person = await administrator(live, owner)
    await live.ListSessions(token=person.token)
    assert not (await live.ListFactors(token=person.token)).required


def test_a_method_is_open_to_them_only_if_it_says_so() -> None:
    lacking = Caller(uuid4(), "admin", uuid4(), needs_factor=True)
    ANYONE.check(lacking)
    SIGNED_IN._replace(without_factor=True).check(lacking)
    for rule in (SIGNED_IN, Rule(roles=frozenset({"admin"}))):
        with pytest.raises(SecondFactorRequired):
            rule.check(lacking)
    with pytest.raises(PermissionDenied):
        Rule(roles=frozenset({"doctor"}), without_factor=True).check(lacking)
