"""What the server's role could do by hand, were there a hole in a statement.

Each test speaks SQL as `carelane_app` in the name of somebody, as if no code stood before it.
"""

from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.rows import NOW, Practice, add, add_doctor, add_person, add_practice, add_visit
from tests.security.conftest import Hand

DENIED = asyncpg.InsufficientPrivilegeError
NOBODY: UUID | None = None


class Visit:
    """A booked visit with its claim and its payment."""

    def __init__(self, at: Practice, patient: UUID, appointment_id: UUID) -> None:
        self.at = at
        self.patient = patient
        self.appointment_id = appointment_id


@pytest.fixture
async def visit(owner: Any) -> Visit:
    at, patient = await add_practice(owner), await add_person(owner)
    appointment_id = await add_visit(owner, at, patient)
    doctor = {"doctor_id": at.doctor_id}
    await add(owner, "calendar", **doctor)
    span = {"start_time": NOW, "end_time": NOW.replace(minute=30)}
    await add(owner, "claim", claim_id=appointment_id, kind="appointment", **doctor, **span)
    await add_payment(owner, at, patient, appointment_id)
    return Visit(at, patient, appointment_id)


async def add_payment(owner: Any, at: Practice, patient: UUID, appointment_id: UUID) -> None:
    await add(
        owner,
        "payment_transaction",
        transaction_id=uuid4(),
        clinic_id=at.clinic_id,
        appointment_id=appointment_id,
        patient_id=patient,
        doctor_id=at.doctor_id,
        amount=Decimal(500),
        currency_code="INR",
    )


async def test_time_is_freed_by_those_whose_visit_it_is_alone(
    hand: Hand, owner: Any, visit: Visit
) -> None:
    free = "DELETE FROM claim WHERE doctor_id = $1"
    for other in (NOBODY, await add_person(owner), await add_doctor(owner)):
        assert await hand.touched(other, free, visit.at.doctor_id) == 0
    for own in (visit.patient, visit.at.doctor_id):
        assert await hand.touched(own, free, visit.at.doctor_id) == 1


async def test_taken_time_is_not_moved(hand: Hand, visit: Visit) -> None:
    with pytest.raises(DENIED):
        await hand.touched(visit.patient, "UPDATE claim SET end_time = end_time + interval '1 d'")


async def test_nobody_takes_time_or_locks_a_calendar_in_nobody_s_name(
    hand: Hand, visit: Visit
) -> None:
    take = "INSERT INTO claim SELECT gen_random_uuid(), $1, now(), now() + interval '1 h', 'hold'"
    with pytest.raises(DENIED):
        await hand.touched(NOBODY, take, visit.at.doctor_id)
    lock = "SELECT FROM calendar WHERE doctor_id = $1 FOR UPDATE"
    assert await hand.touched(NOBODY, lock, visit.at.doctor_id) == 0
    assert await hand.touched(visit.patient, lock, visit.at.doctor_id) == 1


async def test_a_doctor_opens_no_calendar_but_their_own(hand: Hand, owner: Any) -> None:
    doctor, other = await add_doctor(owner), await add_doctor(owner)
    with pytest.raises(DENIED):
        await hand.touched(doctor, "INSERT INTO calendar VALUES ($1)", other)
    assert await hand.touched(doctor, "INSERT INTO calendar VALUES ($1)", doctor) == 1


@pytest.mark.parametrize(
    "change",
    [
        "appointment SET price = 0",
        "appointment SET clinic_id = gen_random_uuid()",
        "appointment SET patient_id = gen_random_uuid()",
        "appointment SET practice_id = gen_random_uuid()",
        "appointment SET status = 'completed'",
        "appointment SET confirm_time = now()",
        "payment_transaction SET amount = 0",
        "payment_transaction SET status = 'settled', settle_time = now()",
    ],
)
async def test_a_patient_changes_nothing_of_a_visit_but_calls_it_off_or_moves_it(
    hand: Hand, visit: Visit, change: str
) -> None:
    with pytest.raises(DENIED):
        await hand.touched(visit.patient, f"UPDATE {change}")


async def test_a_patient_calls_a_visit_off(hand: Hand, visit: Visit) -> None:
    cancel = "UPDATE appointment SET status = 'cancelled', cancelled_by = 'patient'"
    assert await hand.touched(visit.patient, cancel) == 1
    assert await hand.touched(visit.patient, "UPDATE payment_transaction SET status = 'voided'")


async def test_a_visit_of_another_doctor_than_the_practice_s_is_refused(
    owner: Any, visit: Visit
) -> None:
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        at = replace(visit.at, doctor_id=await add_doctor(owner))
        await add_visit(owner, at, await add_person(owner))


@pytest.mark.parametrize("whose", ["patient", "doctor"])
async def test_a_payment_of_others_than_the_visit_s_is_refused(owner: Any, whose: str) -> None:
    at, patient = await add_practice(owner), await add_person(owner)
    appointment_id = await add_visit(owner, at, patient)
    if whose == "patient":
        patient = await add_person(owner)
    else:
        at = replace(at, doctor_id=await add_doctor(owner))
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await add_payment(owner, at, patient, appointment_id)


async def test_an_administrator_neither_sees_nor_changes_a_visit(
    hand: Hand, owner: Any, visit: Visit
) -> None:
    admin = await add_person(owner, "admin")
    async with hand.as_somebody(admin) as connection:
        await connection.fetch("SELECT set_config('app.admin', $1, true)", str(admin))
        for table in ("appointment", "payment_transaction"):
            assert not await connection.fetch(f"SELECT FROM {table}")
        assert await connection.execute("UPDATE appointment SET revision = 9") == "UPDATE 0"


async def test_visits_are_counted_for_administrators_alone(
    hand: Hand, owner: Any, visit: Visit
) -> None:
    count = "SELECT coalesce(sum(visits), 0) FROM count_visits('1900-01-01', '2200-01-01')"
    settled = "SELECT count(*) FROM sum_settled('1900-01-01', '2200-01-01')"
    await owner.execute(
        "UPDATE payment_transaction SET status = 'settled', settle_time = now()"
        " WHERE appointment_id = $1",
        visit.appointment_id,
    )
    async with hand.as_somebody(visit.at.doctor_id) as connection:
        assert (await connection.fetchval(count), await connection.fetchval(settled)) == (0, 0)
        await connection.fetch("SELECT set_config('app.admin', $1, true)", str(uuid4()))
        assert await connection.fetchval(count) >= 1
        assert await connection.fetchval(settled) >= 1


async def test_a_doctor_does_not_rank_themselves(hand: Hand, owner: Any) -> None:
    doctor = await add_person(owner, "doctor")
    make = (
        "INSERT INTO doctor_profile"
        " (doctor_id, full_name, qualifications, practising_since, languages{0})"
        " VALUES ($1, 'Dr. A', 'MBBS', 2010, '{{en}}'{1})"
    )
    for column in ("rank", "rating", "rating_count"):
        with pytest.raises(DENIED):
            await hand.touched(doctor, make.format(f", {column}", ", 5"), doctor)
    assert await hand.touched(doctor, make.format("", ""), doctor) == 1


async def test_nobody_opens_a_hospital(hand: Hand, owner: Any, visit: Visit) -> None:
    again = (
        "INSERT INTO clinic (kind, name, address, city_id, time_zone, currency_code)"
        " SELECT $2, name, address, city_id, time_zone, currency_code"
        " FROM clinic WHERE clinic_id = $1"
    )
    doctor, clinic = visit.at.doctor_id, visit.at.clinic_id
    with pytest.raises(DENIED):
        await hand.touched(doctor, again, clinic, "hospital")
    assert await hand.touched(doctor, again, clinic, "clinic") == 1


async def test_an_answer_that_is_kept_is_not_replaced(hand: Hand, owner: Any) -> None:
    person, key = await add_person(owner), uuid4()
    await add(
        owner, "idempotency", user_id=person, key=key, request_hash=uuid4(), response=b"first"
    )
    document = f'{{"changes": [], "answer": {{"key": "{key}", "response": "c2Vjb25k"}}}}'
    async with hand.as_somebody(person) as connection:
        await connection.execute("SELECT record_changes($1::jsonb)", document)
        assert await connection.fetchval("SELECT response FROM idempotency") == b"first"


async def test_an_answer_for_another_person_is_not_kept(hand: Hand, owner: Any) -> None:
    person, key = await add_person(owner), uuid4()
    await add(owner, "idempotency", user_id=person, key=key, request_hash=uuid4())
    document = f'{{"changes": [], "answer": {{"key": "{key}", "response": "c2Vjb25k"}}}}'
    async with hand.as_somebody(await add_person(owner)) as connection:
        await connection.execute("SELECT record_changes($1::jsonb)", document)
    async with hand.as_somebody(person) as connection:
        assert await connection.fetchval("SELECT response FROM idempotency") is None


async def test_the_audit_names_who_acted_and_not_whom_the_document_names(
    hand: Hand, owner: Any
) -> None:
    person, thing = await add_person(owner), uuid4()
    document = (
        f'{{"answer": null, "changes": [{{"action": "x", "subject_id": "{thing}", "fields": [],'
        f' "actor_id": "{uuid4()}"}}]}}'
    )
    async with hand.as_somebody(person) as connection:
        await connection.execute("SELECT record_changes($1::jsonb)", document)
        await connection.fetch("SELECT set_config('app.admin', $1, true)", str(uuid4()))
        query = "SELECT actor_id FROM audit WHERE subject_id = $1"
        assert await connection.fetchval(query, thing) == person
