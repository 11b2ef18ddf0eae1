"""Recovery codes: shown once, good once, in any spelling."""

from tests.auth.auth_client import Auth
from tests.factor.device import add_app, begin
from tests.refusal import refused


async def test_ten_codes_come_with_the_first_factor_alone(auth: Auth) -> None:
    person = await auth.person()
    _, codes = await add_app(auth, person)
    assert len(set(codes)) == 10
    _, more = await add_app(auth, person, "Tablet")
    assert more == []
    assert (await auth.ListFactors(token=person.token)).recovery_codes_left == 10


async def test_a_code_signs_in_once(auth: Auth) -> None:
    person = await auth.person()
    _, codes = await add_app(auth, person)
    for code in codes:
        done = await auth.CompleteLogin(pending_token=await begin(auth, person), recovery_code=code)
        assert done.user == person.user
        again = auth.CompleteLogin(pending_token=await begin(auth, person), recovery_code=code)
        assert (await refused(again)).reason == "WRONG_FACTOR"
    assert (await auth.ListFactors(token=person.token)).recovery_codes_left == 0


async def test_a_code_is_known_without_dashes_and_in_small_letters(auth: Auth) -> None:
    person = await auth.person()
    _, codes = await add_app(auth, person)
    typed = f" {codes[0].lower().replace('-', ' ')} "
    await auth.CompleteLogin(pending_token=await begin(auth, person), recovery_code=typed)


async def test_the_code_of_another_is_none(auth: Auth) -> None:
    person, stranger = await auth.person(), await auth.person()
    await add_app(auth, person)
    _, codes = await add_app(auth, stranger)
    call = auth.CompleteLogin(pending_token=await begin(auth, person), recovery_code=codes[0])
    assert (await refused(call)).reason == "WRONG_FACTOR"


async def test_new_codes_void_the_old_ones(auth: Auth) -> None:
    person = await auth.person()
    _, old = await add_app(auth, person)
    new = (await auth.RenewRecoveryCodes(token=person.token)).recovery_codes
    assert not set(old) & set(new)
    call = auth.CompleteLogin(pending_token=await begin(auth, person), recovery_code=old[0])
    assert (await refused(call)).reason == "WRONG_FACTOR"
    await auth.CompleteLogin(pending_token=await begin(auth, person), recovery_code=new[0])


async def test_without_a_factor_there_are_no_codes(auth: Auth) -> None:
    person = await auth.person()
    assert (await refused(auth.RenewRecoveryCodes(token=person.token))).reason == "NOT_FOUND"
