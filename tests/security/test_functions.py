"""Functions with the owner's rights, asked by a stranger: they tell nothing of anybody.

They see every row, so what they answer is all that stands between a hole in a statement and what
is other people's.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.rows import NOW, Practice, add, add_clinic, add_person, add_practice, add_visit
from tests.security.conftest import Hand

HALF_AN_HOUR, WAY = timedelta(minutes=30), timedelta(minutes=20)
SINCE, UNTIL = NOW - timedelta(days=1), NOW + timedelta(days=1)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
LAPSED = NOW + timedelta(hours=2)
# What the record of a visit that was called off is made of, and nothing of why the patient came.
RECORDED = {
    *("appointment_id", "clinic_id", "practice_id", "doctor_id", "patient_id", "visit_type_id"),
    *("status", "cancelled_by", "start_time", "end_time", "confirm_time"),
}
NO_ROW: list[Any] = []
NOBODYS: list[Any] = [([],)]
LEARNED_BY_A_STRANGER = {
    "app_clinics": NOBODYS,
    "app_key_clinics": NOBODYS,
    "app_key_opens": [(False,)],
    "app_key_sees": [(False,)],
    "app_key_sees_account": [(False,)],
    "app_managed_clinics": NOBODYS,
    "app_memberships": NOBODYS,
    "app_needs_factor": [(False,)],
    "app_owned_clinics": NOBODYS,
    "app_patients": NOBODYS,
    "away_times": [(NOW - WAY, NOW + HALF_AN_HOUR + WAY)],
    "booked_times": [(NOW, NOW + HALF_AN_HOUR, 1, False)],
    "call_off_lapsed": [(None,)],
    "clinic_is_empty": [(False,)],
    "count_accounts": [(0, 0, 0)],
    "count_pending_verifications": [(0,)],
    "count_visits": NO_ROW,
    "erase_account": NO_ROW,
    "find_account": NO_ROW,
    "find_account_proof": NO_ROW,
    "find_calendar_feed": NO_ROW,
    "find_credential": NO_ROW,
    "find_key_secrets": NO_ROW,
    "find_live_key": NO_ROW,
    "find_pending_sign_in": NO_ROW,
    "find_refresh_token": NO_ROW,
    "find_session": NO_ROW,
    "own_access": NO_ROW,
    "own_patient": NO_ROW,
    "record_changes": [(None,)],
    "seats_of": [(1,)],
    "sum_settled": NO_ROW,
    "touch_key": NO_ROW,
}


@dataclass(frozen=True)
class Others:
    """A patient with a paid visit in a group and one that was not paid in time, and more."""

    at: Practice
    patient: UUID
    elsewhere: UUID
    group: UUID
    session: UUID

    def asked(self) -> dict[str, tuple[Any, ...]]:
        """Answer what each function is asked about them, where it takes anything."""
        doctor, times = self.at.doctor_id, (SINCE, UNTIL)
        return {
            "app_key_clinics": ("schedule.read",),
            "app_key_opens": ("audit.read",),
            "app_key_sees": (self.patient,),
            "app_key_sees_account": (self.patient,),
            "away_times": (doctor, self.elsewhere, *times, None),
            "booked_times": (self.at.practice_id, self.at.visit_type_id, *times, None),
            "call_off_lapsed": (self.patient, *times),
            "clinic_is_empty": (self.at.clinic_id,),
            "count_accounts": (LONG_AGO, *times),
            "count_visits": (SINCE.date(), UNTIL.date()),
            "erase_account": (NOW,),
            "find_account_proof": (uuid4(),),
            "find_key_secrets": (uuid4(), NOW),
            "find_live_key": (uuid4(), uuid4(), NOW),
            "find_pending_sign_in": (b"guessed", NOW),
            "find_account": (f"{self.patient}@mail.example",),
            "find_calendar_feed": (b"guessed",),
            "find_credential": ("guessed@mail.example", b"", SINCE),
            "find_refresh_token": (b"guessed",),
            "find_session": (self.session, uuid4(), NOW),
            "own_access": (UNTIL, uuid4(), 100),
            "own_patient": (self.patient, *times),
            "record_changes": ({"answer": None, "changes": []},),
            "seats_of": (self.group,),
            "sum_settled": times,
            "touch_key": (NOW, LONG_AGO),
        }


@pytest.fixture
async def others(owner: Any) -> Others:
    at, patient = await add_practice(owner), await add_person(owner)
    elsewhere, group, session = await add_clinic(owner), uuid4(), uuid4()
    visit = await add_visit(owner, at, patient, session_id=group)
    unpaid = {"status": "pending_payment", "expire_time": LONG_AGO, "reason": "A lump"}
    end = LAPSED + HALF_AN_HOUR
    await add_visit(owner, at, patient, start=LAPSED, end_time=end, **unpaid)
    await add_way(owner, at, elsewhere, visit)
    whose = {"clinic_id": at.clinic_id, "doctor_id": at.doctor_id, "patient_id": patient}
    paid = {"amount": Decimal(500), "currency_code": "INR", "status": "settled"}
    ids = {"transaction_id": uuid4(), "appointment_id": visit}
    await add(owner, "payment_transaction", **ids, **whose, **paid, settle_time=NOW)
    person, until = {"user_id": patient}, {"create_time": LONG_AGO, "expire_time": UNTIL}
    await add(owner, "session", session_id=session, **person, **until, network_hash=b"x")
    await add(owner, "calendar_feed", **person, token_hash=uuid4().bytes)
    member = {"clinic_id": at.clinic_id, "user_id": await add_person(owner, "staff")}
    await add(owner, "clinic_member", **member, role="owner")
    return Others(at, patient, elsewhere, group, session)


async def add_way(owner: Any, at: Practice, elsewhere: UUID, visit: UUID) -> None:
    """Take the time of the visit from the doctor, who has a way from there to another clinic."""
    doctor = {"doctor_id": at.doctor_id}
    await add(owner, "calendar", **doctor)
    time = {"start_time": NOW, "end_time": NOW + HALF_AN_HOUR}
    await add(owner, "claim", claim_id=visit, kind="appointment", **doctor, **time)
    first, second = sorted((at.clinic_id, elsewhere))
    way = {"first_clinic_id": first, "second_clinic_id": second}
    await add(owner, "travel_time", **doctor, **way, minutes=WAY // timedelta(minutes=1))


async def ask(connection: Any, function: str, *values: Any) -> list[tuple[Any, ...]]:
    places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
    sent = [json.dumps(value) if isinstance(value, dict) else value for value in values]
    rows = await connection.fetch(f"SELECT * FROM {function}({places})", *sent)
    return [tuple(row) for row in rows]


async def test_each_function_that_the_server_may_call_is_asked(owner: Any) -> None:
    rows = await owner.fetch(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef"
        " AND has_function_privilege('carelane_app', oid, 'EXECUTE')"
    )
    assert {row["proname"] for row in rows} == set(LEARNED_BY_A_STRANGER)


@pytest.mark.parametrize("function", LEARNED_BY_A_STRANGER)
@pytest.mark.parametrize("stranger", [None, uuid4()], ids=["nobody", "somebody"])
async def test_a_stranger_learns_times_and_counts_at_most(
    hand: Hand, others: Others, function: str, stranger: UUID | None
) -> None:
    async with hand.as_somebody(stranger) as connection:
        learned = await ask(connection, function, *others.asked().get(function, ()))
    assert learned == LEARNED_BY_A_STRANGER[function]


async def test_a_stranger_calls_off_nothing(hand: Hand, others: Others) -> None:
    call = ("call_off_lapsed", *others.asked()["call_off_lapsed"])
    async with hand.as_somebody(uuid4()) as connection:
        assert await ask(connection, *call) == [(None,)]
        await connection.fetch("SELECT set_config('app.user', $1, true)", str(others.patient))
        assert await ask(connection, *call) != [(None,)]


async def test_what_has_lapsed_is_told_to_both_sides_without_why_the_patient_came(
    hand: Hand, others: Others
) -> None:
    for who in (others.patient, others.at.doctor_id):
        async with hand.as_somebody(who) as connection:
            ((told,),) = await ask(connection, *("call_off_lapsed", others.patient, SINCE, UNTIL))
        (visit,) = json.loads(told)
        assert set(visit) == RECORDED
        assert visit["status"] == "cancelled"


async def test_a_person_books_for_themselves_unless_an_unpaid_visit_is_in_the_way(
    hand: Hand, others: Others
) -> None:
    async with hand.as_somebody(others.patient) as connection:
        free = await ask(connection, "own_patient", others.patient, SINCE, NOW)
        taken = await ask(connection, "own_patient", others.patient, SINCE, UNTIL)
    assert (free, taken) == ([(others.patient, "Asha Rao", None)], [])
