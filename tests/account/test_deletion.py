"""An account ends when its owner wants it; what must be kept stays without a name."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest

from carelane.auth.v1 import user_pb2
from server.auth.own_sessions import FRESH
from tests.account.conftest import Account
from tests.auth.auth_client import Person
from tests.refusal import refused
from tests.rows import NOW, add, add_practice, add_visit
from tests.security.test_catalogue import TABLES

# What the person wrote or was called, to be looked for afterwards.
CANARY = "Zyxwvut"


@pytest.fixture
async def person(account: Account, owner: Any) -> Person:
    """Somebody who left traces in every table that holds personal data."""
    email = f"{CANARY}.{uuid4().hex}@mail.example"
    made = await account.auth.person(email=email, full_name=CANARY, phone="+91 98200 98765")
    user_id = UUID(made.user.user_id)
    practice = await add_practice(owner)
    visit = await add_visit(owner, practice, user_id, status="completed")
    child = {"account_id": user_id, "full_name": f"{CANARY} junior", "relation": "child"}
    await add(owner, "patient", **child, birth_date=NOW.date())
    told = {"kind": "doctor_verified", "title": CANARY, "body": CANARY, "outbox_id": uuid4()}
    await add(owner, "notification", user_id=user_id, subject_id=visit, create_time=NOW, **told)
    await add(owner, "calendar_feed", user_id=user_id, token_hash=uuid4().bytes)
    wish = {"patient_id": user_id, "from_date": NOW.date(), "until_date": NOW.date()}
    at = {"practice_id": practice.practice_id, "clinic_id": practice.clinic_id}
    hours = {"weekdays": [], "earliest_minute": 0, "latest_minute": 1439}
    wanted = {f"wanted_{name}": value for name, value in at.items()}
    whom = {"wanted_doctor_id": practice.doctor_id, "visit_type_id": practice.visit_type_id}
    await add(owner, "waitlist_entry", entry_id=uuid4(), **wish, **wanted, **whom, **hours)
    await account.letters()
    return made


async def rows_with(owner: Any, text: str) -> dict[str, int]:
    """Count the rows of every table in which a text stands."""
    found = {}
    for table in TABLES:
        query = f"SELECT count(*) FROM {table} t WHERE t::text ILIKE '%' || $1 || '%'"
        found[table] = await owner.fetchval(query, text)
    return {table: count for table, count in found.items() if count}


async def test_nothing_personal_is_left(account: Account, owner: Any, person: Person) -> None:
    assert len(await rows_with(owner, CANARY)) >= 4
    await account.DeleteAccount(person.token)
    farewell = await account.letter()
    assert (farewell.to, farewell.subject) == (person.email, "Your account has ended")
    assert await rows_with(owner, CANARY) == {}
    assert await rows_with(owner, "9820098765") == {}
    kept = ("user_account", "credential", "session", "refresh_token", "calendar_feed")
    user_id = UUID(person.user.user_id)
    query = "SELECT count(*) FROM {} WHERE user_id = $1"
    assert [await owner.fetchval(query.format(table), user_id) for table in kept] == [1, 0, 0, 0, 0]


async def test_the_person_waits_for_nothing_any_more(
    account: Account, owner: Any, person: Person
) -> None:
    await account.DeleteAccount(person.token)
    waits = "SELECT status FROM waitlist_entry WHERE patient_id = $1"
    assert await owner.fetchval(waits, UUID(person.user.user_id)) == "left"


async def test_visits_and_audit_stay(account: Account, owner: Any, person: Person) -> None:
    user_id = UUID(person.user.user_id)
    await account.DeleteAccount(person.token)
    visits = "SELECT count(*) FROM appointment WHERE patient_id = $1"
    assert await owner.fetchval(visits, user_id) == 1
    audit = "SELECT action FROM audit WHERE subject_id = $1"
    actions = {row["action"] for row in await owner.fetch(audit, user_id)}
    assert actions >= {"user.registered", "user.deleted"}


async def test_every_session_ends_and_the_address_is_free_again(
    account: Account, person: Person
) -> None:
    other = await account.auth.login(person.email)
    await account.DeleteAccount(person.token)
    for each in (person, other):
        assert (await refused(account.auth.GetProfile(each.token))).reason == "UNAUTHENTICATED"
        ended = account.auth.RefreshToken(refresh_token=each.session.refresh_token)
        assert (await refused(ended)).reason == "SESSION_ENDED"
    assert (await refused(account.auth.login(person.email))).reason == "WRONG_CREDENTIALS"
    await account.auth.register(person.email, full_name="Somebody Else")
    again = await account.auth.login(person.email)
    assert again.user.user_id != person.user.user_id
    assert again.user.status == user_pb2.USER_STATUS_ACTIVE


async def test_links_that_were_sent_before_are_worthless(account: Account, person: Person) -> None:
    await account.RequestPasswordReset(email=person.email)
    token = (await account.letter()).token
    await account.DeleteAccount(person.token)
    late = account.ResetPassword(token=token, new_password="another horse battery")
    assert (await refused(late)).reason == "LINK_INVALID"


@pytest.mark.parametrize("days", [1, 400])
async def test_who_has_a_visit_to_come_calls_it_off_first(
    account: Account, owner: Any, person: Person, days: int
) -> None:
    start: datetime = account.db.clock.now() + timedelta(days=days)
    practice = await add_practice(owner)
    dependant = "SELECT patient_id FROM patient WHERE account_id = $1 AND patient_id <> $1"
    child = await owner.fetchval(dependant, UUID(person.user.user_id))
    visit = await add_visit(owner, practice, child, start=start)
    refusal = await refused(account.DeleteAccount(person.token))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "ACCOUNT_IN_USE",
    )
    assert refusal.metadata["by"] == "visits"
    await owner.execute(
        "UPDATE appointment SET status = 'cancelled', cancelled_by = 'patient'"
        " WHERE appointment_id = $1",
        visit,
    )
    await account.DeleteAccount(person.token)


async def test_who_works_somewhere_leaves_first(
    account: Account, owner: Any, person: Person
) -> None:
    practice, user_id = await add_practice(owner), UUID(person.user.user_id)
    at = {"clinic_id": practice.clinic_id, "user_id": user_id}
    await add(owner, "clinic_member", role="front_desk", **at)
    refusal = await refused(account.DeleteAccount(person.token))
    assert (refusal.reason, refusal.metadata["by"]) == ("ACCOUNT_IN_USE", "work")


async def test_who_asks_has_just_proven_who_they_are(account: Account, person: Person) -> None:
    assert (await refused(account.DeleteAccount())).reason == "UNAUTHENTICATED"
    account.db.clock.advance(FRESH)
    late = account.DeleteAccount(person.token)
    assert (await refused(late)).reason == "REAUTHENTICATION_REQUIRED"


async def test_others_keep_what_is_theirs(account: Account, person: Person) -> None:
    other = await account.auth.person()
    await account.DeleteAccount(person.token)
    assert (await account.auth.GetProfile(other.token)).user == other.user
