"""Registration makes one account an address, and says the same to everybody."""

import asyncio
import statistics
import time
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest

from carelane.auth.v1 import auth_service_pb2 as pb
from carelane.auth.v1 import user_pb2
from server.auth.passwords import PERSONAL_RULE
from tests.auth.auth_client import PASSWORD, Auth, Connection
from tests.refusal import refused


async def test_a_new_person_can_sign_in(auth: Auth) -> None:
    await auth.Register(
        email="Asha.Rao@Mail.example", password=PASSWORD, full_name=" Asha Rao ",
        phone="+91 98200-12345", role=user_pb2.ROLE_DOCTOR, time_zone="Asia/Kolkata",
        language="hi",
    )  # fmt: skip
    user = (await auth.login("asha.rao@mail.EXAMPLE")).user
    assert user.email == "Asha.Rao@Mail.example"
    assert (user.full_name, user.phone) == ("Asha Rao", "+919820012345")
    assert (user.role, user.status) == (user_pb2.ROLE_DOCTOR, user_pb2.USER_STATUS_ACTIVE)
    assert (user.time_zone, user.language) == ("Asia/Kolkata", "hi")
    assert UUID(user.user_id).version == 7


async def test_what_is_not_said_has_a_default(auth: Auth) -> None:
    user = (await auth.person()).user
    assert (user.phone, user.time_zone, user.language) == ("", "UTC", "en")


async def test_the_answer_is_empty_whether_or_not_the_address_is_known(auth: Auth) -> None:
    registration = {"password": PASSWORD, "full_name": "Asha", "role": 1}
    answers = [
        await auth.Register(email=email, **registration)
        for email in ("asha@mail.example", "asha@mail.example", "ASHA@MAIL.example")
    ]
    assert [answer.SerializeToString() for answer in answers] == [b"", b"", b""]


async def test_an_account_is_left_alone_by_a_second_registration(auth: Auth) -> None:
    owner = await auth.person()
    await auth.Register(
        email=owner.email.upper(), password="another horse battery", full_name="Mallory", role=2
    )
    again = await auth.login(owner.email)
    assert again.user == owner.user
    assert (await refused(auth.login(owner.email, "another horse battery"))).reason == (
        "WRONG_CREDENTIALS"
    )


@pytest.mark.parametrize("role", [0, 3, 4, 99])
async def test_nobody_registers_as_staff_or_administrator(auth: Auth, role: int) -> None:
    refusal = await refused(auth.register(role=role))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_FIELD",
    )
    assert list(refusal.fields) == ["role"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "no address"),
        ("email", "a@b\0.example"),
        ("email", f"{'a' * 250}@mail.example"),
        ("password", "short"),
        ("password", "password1"),
        ("password", "x\u00e9" * 129),
        ("full_name", ""),
        ("full_name", "   "),
        ("full_name", "As\0ha"),
        ("full_name", "A" * 201),
        ("phone", "98200 12345"),
        ("phone", "+91 12"),
        ("phone", "+999 98200 12345"),
        ("phone", "+1 555 CALL ME"),
        ("time_zone", "Mars/Olympus"),
        ("time_zone", "../../etc/passwd"),
        ("language", "English"),
        ("request_id", "7"),
    ],
)
async def test_an_invalid_field_is_named(auth: Auth, field: str, value: str) -> None:
    fields = {"email": f"{uuid4().hex}@mail.example"} | {field: value}
    refusal = await refused(auth.register(**fields))
    assert refusal.reason == "INVALID_FIELD"
    assert list(refusal.fields) == [field]
    assert not value.strip() or value not in refusal.text


async def test_the_own_address_is_refused_as_password(auth: Auth) -> None:
    refusal = await refused(
        auth.register(email="asha.rao@mail.example", password="ASHA.RAO@mail.example")
    )
    assert refusal.fields == {"password": PERSONAL_RULE}


async def test_a_repeat_with_its_request_id_makes_no_second_account(auth: Auth) -> None:
    request_id = str(uuid4())
    email = await auth.register(request_id=request_id)
    await auth.register(email=email, request_id=request_id)
    assert (await auth.login(email)).email == email


async def test_many_registrations_from_one_address_are_refused(auth: Auth) -> None:
    invalid = {"password": "password", "address": "198.51.100.7"}
    for _ in range(60):
        assert (await refused(auth.register(**invalid))).reason == "INVALID_FIELD"
    refusal = await refused(auth.register(address="198.51.100.7"))
    assert refusal.reason == "RATE_LIMITED"
    assert refusal.retry_after > 3500
    await auth.register(address="198.51.100.8")


async def test_registrations_at_once_make_one_account(live: Auth, owner: Connection) -> None:
    email = f"{uuid4().hex}@mail.example"
    await asyncio.gather(*(live.register(email.upper() if n % 2 else email) for n in range(10)))
    count = await owner.fetchval("SELECT count(*) FROM user_account WHERE lower(email) = $1", email)
    assert count == 1


async def test_the_owner_is_told_of_an_attempt_by_somebody_else_only(
    live: Auth, owner: Connection
) -> None:
    request_id = str(uuid4())
    email = await live.register(request_id=request_id)
    await live.register(email, request_id=request_id)
    await live.register(email, request_id=str(uuid4()))
    user_id = (await live.login(email)).user.user_id
    rows = await owner.fetch(
        "SELECT topic FROM outbox WHERE subject_id = $1 ORDER BY outbox_id", UUID(user_id)
    )
    assert [row["topic"] for row in rows] == ["user.registered", "user.registration_repeated"]


async def test_a_known_address_costs_the_same_statements_as_a_new_one(auth: Auth) -> None:
    statements: list[str] = []

    def note(record: Any) -> None:
        statements.append(record.query)

    with auth.db.connection.query_logger(note):
        email = await auth.register()
        fresh = len(statements)
        await auth.register(email)
    assert len(statements) == 2 * fresh > 0


async def test_a_known_address_takes_as_long_as_a_new_one(hashing: Auth) -> None:
    email = await hashing.register()

    async def seconds(address: str) -> float:
        start = time.perf_counter()
        await hashing.register(address)
        return time.perf_counter() - start

    pairs = [(await seconds(email), await seconds("")) for _ in range(15)]
    known, fresh = (statistics.median(column) for column in zip(*pairs, strict=True))
    assert 0.5 < known / fresh < 2


def test_what_is_personal_is_marked_in_the_contract() -> None:
    fields = pb.RegisterRequest.DESCRIPTOR.fields
    marked = {field.name for field in fields if field.GetOptions().debug_redact}
    assert marked == {"email", "password", "full_name", "phone"}
