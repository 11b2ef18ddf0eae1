"""Passkeys: added once, asked at a sign-in, and no answer is taken that is not quite right."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url

from carelane.auth.v1 import session_pb2
from server.core.clock import MovableClock
from tests.auth.auth_client import Auth, Person
from tests.factor.device import Passkey, add_app, add_passkey, begin
from tests.refusal import refused


async def complete(auth: Auth, person: Person, passkey: Passkey, **changes: Any) -> Any:
    """Sign in with the password and the passkey."""
    token = await begin(auth, person)
    options = (await auth.BeginPasskeyCheck(pending_token=token)).options
    given = passkey.get(options, **changes)
    return await auth.CompleteLogin(pending_token=token, passkey=given)


async def test_a_passkey_completes_a_sign_in(auth: Auth) -> None:
    person, passkey = await auth.person(), Passkey()
    added = await add_passkey(auth, person, passkey)
    assert added.factor.kind == session_pb2.FACTOR_KIND_PASSKEY
    assert len(added.recovery_codes) == 10
    for _ in range(2):
        done = await complete(auth, person, passkey)
        assert (await auth.GetProfile(token=done.session.access_token)).user == person.user


async def test_a_passkey_proves_it_again(auth: Auth, clock: MovableClock) -> None:
    person, passkey = await auth.person(), Passkey(counts=False)
    await add_passkey(auth, person, passkey)
    clock.advance(timedelta(minutes=11))
    options = (await auth.BeginPasskeyCheck(token=person.token)).options
    await auth.Reauthenticate(token=person.token, passkey=passkey.get(options))
    await auth.RenewRecoveryCodes(token=person.token)


async def test_an_answer_is_taken_once(auth: Auth) -> None:
    person, passkey = await auth.person(), Passkey(counts=False)
    await add_passkey(auth, person, passkey)
    first = await begin(auth, person)
    given = passkey.get((await auth.BeginPasskeyCheck(pending_token=first)).options)
    await auth.CompleteLogin(pending_token=first, passkey=given)
    again = auth.CompleteLogin(pending_token=await begin(auth, person), passkey=given)
    assert (await refused(again)).reason == "WRONG_FACTOR"


async def test_an_answer_that_comes_late_is_refused(auth: Auth, clock: MovableClock) -> None:
    person, passkey = await auth.person(), Passkey()
    await add_passkey(auth, person, passkey)
    options = (await auth.BeginPasskeyCheck(pending_token=await begin(auth, person))).options
    clock.advance(timedelta(minutes=5))
    late = auth.CompleteLogin(pending_token=await begin(auth, person), passkey=passkey.get(options))
    assert (await refused(late)).reason == "WRONG_FACTOR"


async def test_a_copied_passkey_is_noticed_by_its_counter(auth: Auth) -> None:
    person, passkey = await auth.person(), Passkey()
    await add_passkey(auth, person, passkey)
    copy = Passkey(credential_id=passkey.credential_id, key=passkey.key, uses=passkey.uses)
    await complete(auth, person, passkey)
    assert (await refused(complete(auth, person, copy))).reason == "WRONG_FACTOR"


async def test_another_key_page_or_person_is_refused(auth: Auth) -> None:
    person, stranger, passkey = await auth.person(), await auth.person(), Passkey()
    await add_passkey(auth, person, passkey)
    await add_passkey(auth, stranger, other := Passkey())
    forged = Passkey(credential_id=passkey.credential_id)
    phished = Passkey("https://carelane.evil", credential_id=passkey.credential_id, key=passkey.key)
    for wrong in (other, forged, phished):
        wrong.uses = 50
        assert (await refused(complete(auth, person, wrong))).reason == "WRONG_FACTOR"


async def test_the_challenge_of_another_is_not_ones_own(auth: Auth) -> None:
    person, stranger = await auth.person(), await auth.person()
    passkey, other = Passkey(), Passkey()
    await add_passkey(auth, person, passkey)
    await add_passkey(auth, stranger, other)
    options = (await auth.BeginPasskeyCheck(token=stranger.token)).options
    token = await begin(auth, person)
    call = auth.CompleteLogin(pending_token=token, passkey=passkey.get(options))
    assert (await refused(call)).reason == "WRONG_FACTOR"


async def test_the_challenge_for_a_new_passkey_does_not_sign_in(auth: Auth) -> None:
    person, passkey = await auth.person(), Passkey()
    await add_passkey(auth, person, passkey)
    asked = json.loads((await auth.BeginPasskey(token=person.token)).options)
    options = json.dumps({"rpId": asked["rp"]["id"], "challenge": asked["challenge"]})
    token = await begin(auth, person)
    call = auth.CompleteLogin(pending_token=token, passkey=passkey.get(options))
    assert (await refused(call)).reason == "WRONG_FACTOR"


async def test_a_known_passkey_is_not_offered_again_nor_added_twice(auth: Auth) -> None:
    person, stranger, passkey = await auth.person(), await auth.person(), Passkey()
    await add_passkey(auth, person, passkey)
    options = json.loads((await auth.BeginPasskey(token=person.token)).options)
    (excluded,) = options["excludeCredentials"]
    assert base64url_to_bytes(excluded["id"]) == passkey.credential_id
    assert (await refused(add_passkey(auth, stranger, passkey))).reason == "ALREADY_EXISTS"


async def test_who_has_no_passkey_is_asked_for_none(auth: Auth) -> None:
    person = await auth.person()
    await add_app(auth, person)
    token = await begin(auth, person)
    assert (await refused(auth.BeginPasskeyCheck(pending_token=token))).reason == "NOT_FOUND"
    assert (await refused(auth.BeginPasskeyCheck(pending_token="x"))).reason == "SESSION_ENDED"


@pytest.mark.parametrize(
    "given", ["{}", "[]", "null", "1", '"x"', "{", '{"id": 1}', "\u00e9" * 50, "[" * 9000]
)
async def test_what_is_no_answer_is_refused(auth: Auth, given: str) -> None:
    person = await auth.person()
    await add_passkey(auth, person, Passkey())
    token = await begin(auth, person)
    call = auth.CompleteLogin(pending_token=token, passkey=given)
    assert (await refused(call)).reason == "WRONG_FACTOR"
    call = auth.AddPasskey(token=person.token, name="Key", credential=given)
    assert (await refused(call)).reason == "WRONG_FACTOR"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["authenticatorData", "clientDataJSON", "signature"]), st.binary(max_size=80)
)
async def test_a_part_that_was_replaced_is_refused(
    auth: Auth, clock: MovableClock, part: str, rubbish: bytes
) -> None:
    clock.advance(timedelta(hours=1))  # so that this one is not limited for those before
    person, passkey = await auth.person(), Passkey()
    await add_passkey(auth, person, passkey)
    call = complete(auth, person, passkey, **{part: bytes_to_base64url(rubbish)})
    assert (await refused(call)).reason == "WRONG_FACTOR"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
async def test_an_attestation_of_rubbish_is_refused(
    auth: Auth, clock: MovableClock, rubbish: bytes
) -> None:
    clock.advance(timedelta(hours=1))
    person, passkey = await auth.person(), Passkey()
    made = json.loads(passkey.create((await auth.BeginPasskey(token=person.token)).options))
    made["response"]["attestationObject"] = bytes_to_base64url(rubbish)
    call = auth.AddPasskey(token=person.token, name="Key", credential=json.dumps(made))
    assert (await refused(call)).reason == "WRONG_FACTOR"
