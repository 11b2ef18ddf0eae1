"""Row-level security at work: with rows in every table, strangers read none of them."""

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from sqlalchemy import Table, select

from server.core.access import ANONYMOUS, Caller
from server.core.db import Database, Statement, sql
from server.core.schema import Base
from tests.rows import NOW, Practice, add, add_person, add_practice, add_visit
from tests.security.test_catalogue import TABLES, of_class

HIDDEN = of_class("person", "clinic", "system")
OWN = {
    "user_account",
    "credential",
    "session",
    "refresh_token",
    "pending_sign_in",
    "factor",
    "factor_challenge",
    "recovery_code",
    "idempotency",
    "notification",
    "calendar_feed",
    "account_proof",
    "appointment",
    "payment_transaction",
    "hold",
    "patient",
    "waitlist_entry",
    "waitlist_offer",
}

QUEUE = ["queue_day", "queue_ticket", "queue_setting"]
WHERE = ("clinic_id", "practice_id", "doctor_id")
WAITLIST = ["waitlist_entry", "waitlist_offer"]


@pytest.fixture
async def rows(owner: Any) -> dict[str, UUID]:
    """A row in every table that is not public, and who has to do with them."""
    practice, patient = await add_practice(owner), await add_person(owner)
    clinic, doctor = {"clinic_id": practice.clinic_id}, {"doctor_id": practice.doctor_id}
    whole = {**clinic, **doctor, "patient_id": patient}
    visit = await add_visit(owner, practice, patient)
    staff = await add_person(owner, "staff")
    await add(owner, "clinic_member", **clinic, user_id=staff, role="front_desk")
    await add(
        owner,
        "payment_transaction",
        transaction_id=uuid4(),
        appointment_id=visit,
        amount=Decimal(500),
        currency_code="INR",
        **whole,
    )
    licence = {"licence_council": str(uuid4()), "licence_number": "1", "licence_year": 2011}
    await add(owner, "verification", **doctor, **licence)
    await add_hold(owner, practice, patient)
    await add_queue(owner, practice, visit, patient)
    await add_waiting(owner, practice, patient)
    await add_credentials(owner, patient)
    await add(owner, "idempotency", user_id=patient, key=uuid4(), request_hash=uuid4())
    told = {"kind": "doctor_verified", "title": "t", "body": "b", "outbox_id": uuid4()}
    await add(owner, "notification", user_id=patient, subject_id=visit, create_time=NOW, **told)
    await add(owner, "calendar_feed", user_id=patient, token_hash=uuid4().bytes)
    letter = {"outbox_id": uuid4(), "kind": "x", "channel": "email", "expire_time": NOW}
    await add(owner, "mail", user_id=patient, subject_id=visit, **letter)
    proof = {"purpose": "verify_email", "address": "x", "create_time": NOW, "expire_time": NOW}
    await add(owner, "account_proof", user_id=patient, proof_id=uuid4(), **proof)
    about = {"subject_id": visit, **clinic}
    await add(owner, "audit", action="x", fields=[], actor_id=patient, **about)
    await add(owner, "audit_head", chain_id=uuid4())
    await add(owner, "outbox", topic="nobody.listens", payload="{}", **about)
    await add(owner, "clinic_feed", **clinic)
    await add(owner, "feed_entry", **clinic, revision=1, kind="x", thing_id=visit)
    await add_keys(owner, practice)
    return {"patient": patient, "doctor": practice.doctor_id, "staff": staff}


async def add_keys(owner: Any, practice: Practice) -> None:
    for clinic_id, scope in ((practice.clinic_id, "schedule.read"), (None, "audit.read")):
        key = {"key_id": uuid4(), "create_time": NOW}
        await add(owner, "access_key", **key, clinic_id=clinic_id, name="n", scopes=[scope])
        secret = {"secret_id": uuid4(), "secret_hash": b"x", "prefix": "x"}
        await add(owner, "access_key_secret", **key, **secret)


async def add_hold(owner: Any, practice: Practice, holder: UUID) -> None:
    time = {"start_time": NOW, "end_time": NOW + timedelta(minutes=30)}
    until = {"expire_time": NOW + timedelta(minutes=10)}
    hold_id, doctor = uuid4(), {"doctor_id": practice.doctor_id}
    await add(owner, "calendar", **doctor)
    await add(owner, "claim", claim_id=hold_id, kind="hold", **doctor, **time, **until)
    ids = {"clinic_id": practice.clinic_id, "practice_id": practice.practice_id, **doctor}
    ids |= {"visit_type_id": practice.visit_type_id, "hold_id": hold_id, "claim_id": hold_id}
    await add(owner, "hold", **ids, holder_id=holder, **time, **until)


async def add_waiting(owner: Any, practice: Practice, patient: UUID) -> None:
    entry = {"entry_id": uuid4(), "patient_id": patient}
    at = {"clinic_id": practice.clinic_id, "practice_id": practice.practice_id}
    at |= {"doctor_id": practice.doctor_id, "visit_type_id": practice.visit_type_id}
    days = {"from_date": NOW.date(), "until_date": NOW.date()}
    hours = {"weekdays": [], "earliest_minute": 0, "latest_minute": 1439}
    wanted = {f"wanted_{name}" if name in WHERE else name: each for name, each in at.items()}
    await add(owner, "waitlist_entry", **entry, **wanted, **days, **hours)
    time = {"start_time": NOW, "end_time": NOW, "expire_time": NOW}
    await add(owner, "waitlist_offer", **entry, **at, **time, hold_id=uuid4())
    await add(owner, "waitlist_due", practice_id=practice.practice_id)


async def add_queue(owner: Any, practice: Practice, visit: UUID, patient: UUID) -> None:
    whose = {"clinic_id": practice.clinic_id, "doctor_id": practice.doctor_id}
    queue_day = {"queue_day_id": uuid4()}
    at = {"practice_id": practice.practice_id, **whose}
    await add(owner, "queue_day", **queue_day, **at, local_date=NOW.date())
    came = {"appointment_id": visit, "patient_id": patient, "check_in_time": NOW}
    await add(owner, "queue_ticket", **came, **queue_day, **whose, token=1, booked_minutes=30)
    await add(owner, "queue_setting", **at, no_show_grace_minutes=30)


async def add_credentials(owner: Any, user_id: UUID) -> None:
    end = {"create_time": NOW, "expire_time": NOW + timedelta(days=1)}
    person, session = {"user_id": user_id}, {"session_id": uuid4()}
    await add(owner, "credential", **person, password_hash="x")
    await add(owner, "session", **person, **session, **end, network_hash=b"x")
    await add(
        owner,
        "factor",
        factor_id=uuid4(),
        **person,
        kind="totp",
        name="n",
        secret=b"x",
        create_time=NOW,
    )
    challenge = {"challenge": uuid4().bytes, "purpose": "add", "expire_time": NOW}
    await add(owner, "factor_challenge", **person, **challenge)
    await add(owner, "recovery_code", **person, code_hash=uuid4().bytes, create_time=NOW)
    seen = {"network_hash": b"x", "known_network": False}
    await add(owner, "pending_sign_in", **person, **end, **seen, token_hash=uuid4().bytes)
    await add(owner, "refresh_token", **person, **session, **end, token_hash=uuid4().bytes)


async def count(db: Database, caller: Caller, table: str) -> int:
    """Count the rows that a caller reads; none when the server may not read the table."""
    try:
        async with db.transaction(caller) as tx:
            return len(await tx.all(_every_row(TABLES[table])))
    except asyncpg.InsufficientPrivilegeError:
        return 0


def _every_row(table: Table) -> Statement:
    return sql(select(table))


def stranger(role: str) -> Caller:
    return Caller(uuid4(), role)


async def test_there_is_something_to_see_in_every_table(owner: Any, rows: dict[str, UUID]) -> None:
    for table in HIDDEN:
        assert await owner.fetchval(f"SELECT count(*) FROM {table}"), table


@pytest.mark.parametrize(
    "caller",
    [ANONYMOUS, stranger("patient"), stranger("doctor"), stranger("staff")],
    ids=["nobody", "patient", "doctor", "staff"],
)
async def test_a_stranger_sees_no_row(
    committed: Database, rows: dict[str, UUID], caller: Caller
) -> None:
    assert {table: await count(committed, caller, table) for table in HIDDEN} == dict.fromkeys(
        HIDDEN, 0
    )


async def test_a_person_sees_their_own_rows_alone(
    committed: Database, rows: dict[str, UUID]
) -> None:
    patient = Caller(rows["patient"], "patient")
    seen = {table: await count(committed, patient, table) for table in HIDDEN}
    own = dict.fromkeys(OWN, 1)
    assert seen == dict.fromkeys(HIDDEN, 0) | own


async def test_a_doctor_sees_their_visits_with_the_people_who_come(
    committed: Database, rows: dict[str, UUID]
) -> None:
    doctor = Caller(rows["doctor"], "doctor")
    seen = {table: await count(committed, doctor, table) for table in HIDDEN}
    own = {
        "user_account": 2,
        "patient": 2,
        "verification": 1,
        "appointment": 1,
        "payment_transaction": 1,
    }
    own |= dict.fromkeys(QUEUE + WAITLIST, 1)
    assert seen == dict.fromkeys(HIDDEN, 0) | own


async def test_staff_see_their_clinic_alone(committed: Database, rows: dict[str, UUID]) -> None:
    staff = Caller(rows["staff"], "staff")
    seen = {table: await count(committed, staff, table) for table in HIDDEN}
    clinic = ["clinic_member", "appointment", "payment_transaction", "clinic_feed", "feed_entry"]
    clinic += QUEUE + WAITLIST
    expected = dict.fromkeys(HIDDEN, 0) | dict.fromkeys(clinic, 1)
    expected |= {"user_account": 2, "patient": 2}
    assert seen == expected


async def test_an_administrator_sees_no_secret_and_nothing_private(
    committed: Database, rows: dict[str, UUID]
) -> None:
    admin = stranger("admin")
    seen = {table for table in HIDDEN if await count(committed, admin, table)}
    assert seen == {
        "user_account",
        "clinic_member",
        "verification",
        "audit",
        "access_key",
    }


def test_every_table_is_looked_at() -> None:
    assert set(HIDDEN) | set(of_class("public", "claim")) == set(Base.metadata.tables)
