"""What programs may do with a key: what its scopes open, at its clinic, while it lives."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.protobuf import descriptor_pool

from carelane.common.v1 import access_pb2
from server.auth.tokens import InvalidToken
from server.key.exchange import LiveKeys
from server.key.scopes import PARTNER, SERVICE
from server.key.secret import new_secret
from tests.audit.test_export import exported
from tests.key.conftest import ADMIN, Keys
from tests.refusal import refused
from tests.world import tomorrow

CODE = grpc.StatusCode


async def book(keys: Keys, at: Any = None) -> Any:
    """Book tomorrow at ten, for a reason."""
    at = at or keys.at
    patient = await keys.world.person(name="Asha Rao")
    start = at.at(tomorrow(at, keys.world.db.clock.now()), 10)
    return await keys.world.book(patient, at, start, reason="a cough")


async def test_a_key_sees_the_visits_of_its_clinic_alone(keys: Keys) -> None:
    here = await book(keys)
    await book(keys, await keys.world.practice())
    program = await keys.program("schedule.read")
    (seen,) = await keys.schedule(program)
    assert seen.appointment_id == here.appointment_id
    assert seen.transaction.transaction_id


async def test_a_doctor_s_visits_elsewhere_are_not_the_key_s(keys: Keys) -> None:
    elsewhere = await keys.world.practice(doctor=keys.at.doctor)
    await book(keys, elsewhere)
    program = await keys.program("schedule.read", "patients.read")
    answer = await keys.world.call(
        "ListDoctorAppointments", program, days=3, doctor_id=keys.at.doctor.user_id
    )
    assert not answer.appointments
    named = {"practice_id": elsewhere.practice_id}
    program = await keys.program("availability.read")
    refusal = await refused(keys.world.call("GetAvailability", program, **named))
    assert refusal.code == CODE.NOT_FOUND


async def test_who_comes_and_why_takes_a_scope_of_its_own(keys: Keys) -> None:
    await book(keys)
    (seen,) = await keys.schedule(await keys.program("schedule.read"))
    assert (seen.patient.full_name, seen.patient.phone, seen.reason) == ("", "", "")
    (seen,) = await keys.schedule(await keys.program("schedule.read", "patients.read"))
    assert (seen.patient.full_name, seen.reason) == ("Asha Rao", "a cough")
    assert seen.patient.phone


async def test_a_key_reads_the_hours_of_its_clinic(keys: Keys) -> None:
    program = await keys.program("availability.read")
    named = {"practice_id": keys.at.practice_id}
    found = await keys.world.call("GetAvailability", program, **named)
    assert len(found.availability.rules) == 7
    refusal = await refused(keys.world.call("GetAvailability", program))
    assert refusal.code == CODE.NOT_FOUND


async def test_a_key_of_the_platform_reads_the_audit_and_no_visit(keys: Keys) -> None:
    await book(keys)
    program = await keys.program("audit.read", by=ADMIN)
    assert (await keys.world.call("ListAuditEntries", program)).entries
    assert await exported(keys.world, program, clinic_id=str(keys.at.clinic_id))
    found = await keys.world.call(
        "ListAuditEntries", ADMIN, filter={"actor_id": str(program.user_id)}
    )
    assert {entry.act for entry in found.entries} == {"key.exchanged", "audit.exported"}
    refusal = await refused(keys.world.call("ListDoctorAppointments", program))
    assert refusal.reason == "SCOPE_MISSING"


async def test_a_key_of_the_platform_reads_the_figures_of_administrators(keys: Keys) -> None:
    await book(keys)
    program = await keys.program("reports.read", by=ADMIN)
    figures = await keys.world.call("GetAnalytics", program)
    assert figures == await keys.world.call("GetAnalytics", ADMIN)
    assert figures.analytics.user_count > 0
    refusal = await refused(keys.world.call("ListAuditEntries", program))
    assert refusal.reason == "SCOPE_MISSING"


async def test_what_a_key_reads_is_written_down_with_the_key(keys: Keys) -> None:
    visit = await book(keys)
    program = await keys.program("schedule.read")
    await keys.schedule(program)
    found = await keys.world.call(
        "ListAuditEntries", ADMIN, filter={"actor_id": str(program.user_id)}
    )
    read = next(entry for entry in found.entries if entry.act == "schedule.read")
    assert read.clinic_id == str(keys.at.clinic_id)
    assert read.patient_ids == [visit.patient.patient_id]


async def test_a_token_has_no_more_scopes_than_it_was_asked_for(keys: Keys) -> None:
    made = await keys.make("schedule.read", "availability.read")
    program = await keys.exchange(made, "availability.read")
    refusal = await refused(keys.world.call("ListDoctorAppointments", program))
    assert (refusal.code, refusal.reason) == (CODE.PERMISSION_DENIED, "SCOPE_MISSING")
    refusal = await refused(keys.exchange(made, "schedule.read", "patients.read"))
    assert (refusal.code, refusal.reason) == (CODE.PERMISSION_DENIED, "SCOPE_MISSING")


@pytest.mark.parametrize(
    "name", ["ListAppointments", "ListMyClinics", "GetAppointment", "BookAppointment", "GetQueue"]
)
async def test_what_names_no_scope_is_open_to_no_key(keys: Keys, name: str) -> None:
    program = await keys.program(*PARTNER)
    refusal = await refused(keys.world.call(name, program))
    assert (refusal.code, refusal.reason) == (CODE.PERMISSION_DENIED, "SCOPE_MISSING")


async def test_where_anyone_may_call_a_key_is_anyone(keys: Keys) -> None:
    program = await keys.program("schedule.read")
    doctor = {"doctor_id": keys.at.doctor.user_id}
    assert (await keys.world.call("GetDoctor", program, **doctor)).doctor.full_name


async def test_unknown_revoked_and_wrong_are_refused_alike(keys: Keys) -> None:
    made, revoked = await keys.make(), await keys.make()
    await keys.revoke(revoked)
    answers = [
        await refused(keys.world.call("ExchangeKey", key_id=key_id, secret=secret))
        for key_id, secret in (
            (uuid4(), made.secret),
            (revoked.key.key_id, revoked.secret),
            (revoked.key.key_id, made.secret),
            (made.key.key_id, new_secret()),
            (made.key.key_id, made.secret[:-1] + "z"),
            (made.key.key_id, "password"),
        )
    ]
    assert (answers[0].code, answers[0].reason) == (CODE.UNAUTHENTICATED, "WRONG_CREDENTIALS")
    assert all(answer == answers[0] for answer in answers)


@pytest.mark.parametrize(
    ("field", "value"), [("key_id", "client"), ("secret", ""), ("secret", "a" * 257)]
)
async def test_an_exchange_with_a_wrong_field_is_refused(
    keys: Keys, field: str, value: str
) -> None:
    fields = {"key_id": uuid4(), "secret": "a", field: value}
    assert [*(await refused(keys.world.call("ExchangeKey", **fields))).fields] == [field]


async def test_guesses_are_limited_and_honest_exchanges_are_not(keys: Keys) -> None:
    made = await keys.make()
    for _ in range(12):
        await keys.exchange(made)
    wrong = {"key_id": made.key.key_id, "secret": new_secret()}
    for _ in range(10):
        assert (await refused(keys.world.call("ExchangeKey", **wrong))).retry_after == 0
    refusal = await refused(keys.exchange(made))
    assert refusal.code == CODE.RESOURCE_EXHAUSTED
    assert refusal.retry_after > 0


async def test_a_token_lasts_fifteen_minutes(keys: Keys) -> None:
    program, clock = await keys.program(), keys.world.db.clock
    clock.advance(timedelta(minutes=14))  # type: ignore[attr-defined]
    await keys.schedule(program)
    clock.advance(timedelta(minutes=1))  # type: ignore[attr-defined]
    assert (await refused(keys.schedule(program))).reason == "TOKEN_EXPIRED"


async def test_a_token_ends_with_its_key_and_with_its_secret(keys: Keys) -> None:
    for end in (keys.revoke, keys.rotate):
        made = await keys.make()
        program = await keys.exchange(made)
        await keys.schedule(program)
        await end(made)
        assert (await refused(keys.schedule(program))).code == CODE.UNAUTHENTICATED


async def test_a_key_is_no_person_to_any_lookup_of_persons(keys: Keys) -> None:
    program = await keys.program()
    with pytest.raises(InvalidToken):
        await keys.world.authenticator.verify(program.token)


async def test_use_is_noted_once_a_minute(keys: Keys) -> None:
    made, clock = await keys.make(), keys.world.db.clock
    program, live = await keys.exchange(made), LiveKeys(keys.world.db)
    first = await use_time(keys)
    for seconds, noted in ((30, False), (40, True), (30, False)):
        clock.advance(timedelta(seconds=seconds))  # type: ignore[attr-defined]
        await live(keys.world.tokens.verify(program.token))  # type: ignore[arg-type]
        assert (await use_time(keys) > first) is noted
        first = await use_time(keys)


async def use_time(keys: Keys) -> int:
    at = {"clinic_id": keys.at.clinic_id}
    (key,) = (await keys.world.call("ListKeys", keys.at.owner, **at)).keys
    return int(key.use_time.ToMilliseconds())


def scopes_of_the_contract() -> dict[str, set[str]]:
    """Answer the RPCs that each scope opens."""
    found: dict[str, set[str]] = {}
    pool = descriptor_pool.Default()
    for domain in ("admin", "appointment", "availability", "audit", "key", "queue", "directory"):
        service = pool.FindServiceByName(f"carelane.{domain}.v1.{domain.title()}Service")
        for method in service.methods:
            for scope in method.GetOptions().Extensions[access_pb2.access].scopes:
                found.setdefault(scope, set()).add(method.name)
    return found


def test_every_scope_opens_something_and_none_is_unknown() -> None:
    opened = scopes_of_the_contract()
    # Who comes is a part of the schedule: the scope shows more of it and opens nothing.
    assert {*opened} == {*PARTNER, *SERVICE} - {"patients.read"}


def test_words_are_said_of_every_scope() -> None:
    assert not {*PARTNER} & {*SERVICE}
    assert all(words.endswith(".") for words in (*PARTNER.values(), *SERVICE.values()))


async def test_scopes_are_told_with_their_words(keys: Keys) -> None:
    scopes = (await keys.world.call("GetScopes", keys.at.owner)).scopes
    assert {scope.name: scope.description for scope in scopes} == {**PARTNER, **SERVICE}
