"""Authenticator apps: the sign-in in two steps, codes that work once, and who may add one."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import grpc
import pytest
from sqlalchemy import TIMESTAMP, bindparam, func, select

from carelane.auth.v1 import session_pb2
from server.auth.tokens import InvalidToken
from server.core.access import Caller
from server.core.clock import MovableClock
from server.core.db import sql
from server.factor import totp
from server.factor.sealing import Sealing
from tests.auth.auth_client import PASSWORD, Auth, Connection
from tests.factor.device import App, add_app, begin
from tests.refusal import refused

ERASE = sql(select(func.erase_account(bindparam("at", type_=TIMESTAMP(timezone=True)))))
TOTP, CODE = session_pb2.FACTOR_KIND_TOTP, session_pb2.FACTOR_KIND_RECOVERY_CODE


async def test_a_sign_in_takes_the_code_as_its_second_step(auth: Auth) -> None:
    person = await auth.person()
    app, _ = await add_app(auth, person)
    answer = await auth.Login(email=person.email, password=PASSWORD)
    assert not answer.HasField("session")
    assert not answer.HasField("user")
    assert list(answer.second_factor.kinds) == [TOTP, CODE]
    token = answer.second_factor.pending_token
    done = await auth.CompleteLogin(pending_token=token, code=app.code())
    assert done.user == person.user
    assert (await auth.GetProfile(token=done.session.access_token)).user == person.user
    await auth.RefreshToken(refresh_token=done.session.refresh_token)


async def test_without_a_factor_a_sign_in_takes_one_step(auth: Auth) -> None:
    person = await auth.person()
    await auth.AddTotp(token=person.token, name="Never confirmed")
    assert (await auth.login(person.email)).user == person.user


async def test_a_wrong_password_does_not_tell_that_there_is_a_second_factor(auth: Auth) -> None:
    person = await auth.person()
    await add_app(auth, person)
    refusals = [
        await refused(auth.login(email, "wrong horse battery"))
        for email in (person.email, "nobody@mail.example")
    ]
    assert refusals[0] == refusals[1]


async def test_a_code_works_once(auth: Auth) -> None:
    person = await auth.person()
    app, _ = await add_app(auth, person)
    code = app.code()
    await auth.CompleteLogin(pending_token=await begin(auth, person), code=code)
    again = await refused(auth.CompleteLogin(pending_token=await begin(auth, person), code=code))
    assert (again.code, again.reason) == (grpc.StatusCode.PERMISSION_DENIED, "WRONG_FACTOR")


async def test_of_two_who_use_a_code_at_once_one_gets_in(live: Auth) -> None:
    person = await live.person()
    app, _ = await add_app(live, person)
    tokens, code = [await begin(live, person) for _ in range(8)], app.code()
    calls = (live.CompleteLogin(pending_token=token, code=code) for token in tokens)
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(not isinstance(answer, BaseException) for answer in answers) == 1


async def test_a_code_of_the_steps_beside_is_taken_and_no_other(
    auth: Auth, clock: MovableClock
) -> None:
    person = await auth.person()
    app, _ = await add_app(auth, person)
    clock.advance(timedelta(minutes=5))
    token = await begin(auth, person)
    for steps in (-2, 2):
        refusal = await refused(auth.CompleteLogin(pending_token=token, code=app.code(steps)))
        assert refusal.reason == "WRONG_FACTOR"
    await auth.CompleteLogin(pending_token=token, code=app.code(-1))
    token = await begin(auth, person)
    await auth.CompleteLogin(pending_token=token, code=app.code(1))
    token = await begin(auth, person)
    earlier = await refused(auth.CompleteLogin(pending_token=token, code=app.code()))
    assert earlier.reason == "WRONG_FACTOR"


async def test_guesses_are_limited_like_passwords(auth: Auth) -> None:
    person = await auth.person()
    app, _ = await add_app(auth, person)
    for number in range(11):
        guess = auth.CompleteLogin(
            pending_token=await begin(auth, person),
            code=app.code(9),
            address=f"192.0.2.{number}",
        )
        reason = (await refused(guess)).reason
        assert reason == ("WRONG_FACTOR" if number < 10 else "RATE_LIMITED")
    token = await begin(auth, person)
    at_home = await auth.CompleteLogin(pending_token=token, code=app.code())
    assert at_home.user == person.user


async def test_who_is_signed_in_is_not_locked_out_by_those_who_guess(auth: Auth) -> None:
    person = await auth.person()
    app, _ = await add_app(auth, person)
    for number in range(11):
        token, address = await begin(auth, person), f"192.0.2.{number}"
        await refused(auth.CompleteLogin(pending_token=token, code=app.code(9), address=address))
    await auth.Reauthenticate(token=person.token, code=app.code())


async def test_a_pending_token_is_used_up_by_success_alone(auth: Auth) -> None:
    person = await auth.person()
    app, _ = await add_app(auth, person)
    token = await begin(auth, person)
    await refused(auth.CompleteLogin(pending_token=token, code=app.code(9)))
    await auth.CompleteLogin(pending_token=token, code=app.code())
    refusal = await refused(auth.CompleteLogin(pending_token=token, code=app.code(1)))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAUTHENTICATED, "SESSION_ENDED")


async def test_a_pending_token_ends_after_five_minutes(auth: Auth, clock: MovableClock) -> None:
    person = await auth.person()
    app, _ = await add_app(auth, person)
    token = await begin(auth, person)
    clock.advance(timedelta(minutes=5))
    refusal = await refused(auth.CompleteLogin(pending_token=token, code=app.code()))
    assert refusal.reason == "SESSION_ENDED"


async def test_a_changed_password_ends_sign_ins_that_wait(auth: Auth, clock: MovableClock) -> None:
    person = await auth.person()
    app, _ = await add_app(auth, person)
    token = await begin(auth, person)
    clock.advance(timedelta(seconds=1))
    await auth.ChangePassword(
        token=person.token, current_password=PASSWORD, new_password=PASSWORD[::-1]
    )
    refusal = await refused(auth.CompleteLogin(pending_token=token, code=app.code()))
    assert refusal.reason == "SESSION_ENDED"


async def test_a_disabled_account_does_not_complete_a_sign_in(
    live: Auth, owner: Connection
) -> None:
    person = await live.person()
    app, _ = await add_app(live, person)
    token = await begin(live, person)
    await owner.execute(
        "UPDATE user_account SET status = 'disabled' WHERE user_id = $1", UUID(person.user.user_id)
    )
    refusal = await refused(live.CompleteLogin(pending_token=token, code=app.code()))
    assert refusal.reason == "SESSION_ENDED"


async def test_a_pending_token_is_no_access_token_and_no_refresh_token(auth: Auth) -> None:
    person = await auth.person()
    await add_app(auth, person)
    token = await begin(auth, person)
    with pytest.raises(InvalidToken):
        auth.tokens.verify(token)
    assert (await refused(auth.GetProfile(token=token))).reason == "UNAUTHENTICATED"
    assert (await refused(auth.RefreshToken(refresh_token=token))).reason == "SESSION_ENDED"


async def test_another_persons_code_does_not_complete_a_sign_in(auth: Auth) -> None:
    person, stranger = await auth.person(), await auth.person()
    await add_app(auth, person)
    other, _ = await add_app(auth, stranger)
    token = await begin(auth, person)
    refusal = await refused(auth.CompleteLogin(pending_token=token, code=other.code()))
    assert refusal.reason == "WRONG_FACTOR"


async def test_a_secret_is_confirmed_by_its_own_code(auth: Auth) -> None:
    person, stranger = await auth.person(), await auth.person()
    added = await auth.AddTotp(token=person.token, name="Phone")
    app = App(auth, added.secret)
    for token, code, reason in (
        (person.token, app.code(5), "WRONG_FACTOR"),
        (stranger.token, app.code(), "NOT_FOUND"),
    ):
        call = auth.ConfirmTotp(token=token, factor_id=added.factor_id, code=code)
        assert (await refused(call)).reason == reason
    assert not (await auth.ListFactors(token=person.token)).factors
    await auth.ConfirmTotp(token=person.token, factor_id=added.factor_id, code=app.code())
    (factor,) = (await auth.ListFactors(token=person.token)).factors
    assert (factor.factor_id, factor.kind, factor.name) == (added.factor_id, TOTP, "Phone")
    again = auth.ConfirmTotp(token=person.token, factor_id=added.factor_id, code=app.code(1))
    assert (await refused(again)).reason == "NOT_FOUND"


async def test_what_an_app_reads_names_platform_and_account(auth: Auth) -> None:
    person = await auth.person()
    uri = (await auth.AddTotp(token=person.token, name="Phone")).otpauth_uri
    assert uri.startswith("otpauth://totp/Carelane:")
    assert person.email.replace("@", "%40") in uri


async def test_a_secret_is_stored_encrypted(live: Auth, owner: Connection) -> None:
    person = await live.person()
    app, codes = await add_app(live, person)
    user_id = UUID(person.user.user_id)
    row = await owner.fetchrow("SELECT secret FROM factor WHERE user_id = $1", user_id)
    assert app.secret.encode() not in row["secret"]
    assert Sealing(live.factor_keys).open(user_id, row["secret"]) == app.secret.encode()
    assert Sealing(live.factor_keys).open(uuid4(), row["secret"]) is None
    assert Sealing([b"1" * 32]).open(user_id, row["secret"]) is None
    kept = await owner.fetch(
        "SELECT r::text AS all FROM recovery_code r WHERE user_id = $1", user_id
    )
    assert len(kept) == len(codes)
    assert not any(code in row["all"] for row in kept for code in codes)


async def test_factors_are_changed_with_a_fresh_proof_alone(
    auth: Auth, clock: MovableClock
) -> None:
    person = await auth.person()
    app, _ = await add_app(auth, person)
    (factor,) = (await auth.ListFactors(token=person.token)).factors
    clock.advance(timedelta(minutes=11))
    changes = {
        "AddTotp": {"name": "Phone"},
        "ConfirmTotp": {"factor_id": str(uuid4()), "code": "123456"},
        "BeginPasskey": {},
        "AddPasskey": {"name": "Key", "credential": "{}"},
        "RemoveFactor": {"factor_id": factor.factor_id},
        "RenewRecoveryCodes": {},
    }
    for method, fields in changes.items():
        refusal = await refused(getattr(auth, method)(token=person.token, **fields))
        assert refusal.reason == "REAUTHENTICATION_REQUIRED", method
    await auth.Reauthenticate(token=person.token, code=app.code())
    await auth.RemoveFactor(token=person.token, factor_id=factor.factor_id)


async def test_a_second_factor_proves_it_again_and_a_wrong_one_does_not(
    auth: Auth, clock: MovableClock
) -> None:
    person = await auth.person()
    app, codes = await add_app(auth, person)
    clock.advance(timedelta(minutes=11))
    wrong = await refused(auth.Reauthenticate(token=person.token, code=app.code(7)))
    assert wrong.reason == "WRONG_FACTOR"
    await auth.Reauthenticate(token=person.token, recovery_code=codes[0])
    await auth.RenewRecoveryCodes(token=person.token)


async def test_nobody_has_more_than_ten_factors(auth: Auth) -> None:
    person = await auth.person()
    for _ in range(10):
        await add_app(auth, person)
    refusal = await refused(auth.AddTotp(token=person.token, name="One more"))
    assert refusal.reason == "TOO_MANY_FACTORS"


async def test_the_factors_of_others_are_neither_seen_nor_removed(auth: Auth) -> None:
    person, stranger = await auth.person(), await auth.person()
    await add_app(auth, person)
    (factor,) = (await auth.ListFactors(token=person.token)).factors
    assert not (await auth.ListFactors(token=stranger.token)).factors
    await auth.RemoveFactor(token=stranger.token, factor_id=factor.factor_id)
    assert (await auth.ListFactors(token=person.token)).factors == [factor]


async def test_removed_factors_are_not_asked_for(auth: Auth) -> None:
    person = await auth.person()
    await add_app(auth, person)
    (factor,) = (await auth.ListFactors(token=person.token)).factors
    for _ in range(2):
        await auth.RemoveFactor(token=person.token, factor_id=factor.factor_id)
    assert (await auth.ListFactors(token=person.token)).recovery_codes_left == 0
    assert (await auth.login(person.email)).user == person.user


async def test_with_an_account_go_its_factors(live: Auth, owner: Connection) -> None:
    person = await live.person()
    await add_app(live, person)
    await begin(live, person)
    user_id = UUID(person.user.user_id)
    async with live.db.transaction(Caller(user_id)) as tx:
        await tx.all(
            sql(select(func.erase_account(bindparam("at", type_=TIMESTAMP(timezone=True))))),
            at=tx.now,
        )
    for table in ("factor", "recovery_code", "pending_sign_in"):
        query = f"SELECT count(*) FROM {table} WHERE user_id = $1"
        assert await owner.fetchval(query, user_id) == 0


@pytest.mark.parametrize(
    "method",
    [
        *("ListFactors", "AddTotp", "ConfirmTotp", "BeginPasskey", "AddPasskey"),
        *("RemoveFactor", "RenewRecoveryCodes", "BeginPasskeyCheck"),
    ],
)
async def test_without_a_token_nothing_is_told(auth: Auth, method: str) -> None:
    some = {
        "AddTotp": {"name": "x"},
        "ConfirmTotp": {"factor_id": str(uuid4()), "code": "123456"},
        "AddPasskey": {"name": "x", "credential": "{}"},
        "RemoveFactor": {"factor_id": str(uuid4())},
    }
    refusal = await refused(getattr(auth, method)(**some.get(method, {})))
    assert refusal.reason == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    ("method", "fields", "named"),
    [
        ("AddTotp", {"name": ""}, "name"),
        ("ConfirmTotp", {"factor_id": "x", "code": "123456"}, "factor_id"),
        ("ConfirmTotp", {"factor_id": str(UUID(int=1)), "code": "12345a"}, "code"),
        ("RemoveFactor", {"factor_id": ""}, "factor_id"),
        ("CompleteLogin", {"pending_token": "x"}, ""),
        ("CompleteLogin", {"pending_token": "", "code": "123456"}, "pending_token"),
        ("CompleteLogin", {"pending_token": "x", "code": "1", "passkey": "{}"}, ""),
    ],
)
async def test_an_invalid_field_is_named(
    auth: Auth, method: str, fields: dict[str, str], named: str
) -> None:
    person = await auth.person()
    refusal = await refused(getattr(auth, method)(token=person.token, **fields))
    assert named in refusal.fields


def test_codes_are_those_of_rfc_6238() -> None:
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    for second, code in ((59, "287082"), (1111111109, "081804"), (20000000000, "353130")):
        now = datetime.fromtimestamp(second, UTC)
        assert totp.code(secret, now) == code
        assert totp.step_of(secret, code, now) == second // 30
