"""Figures over a period, compared with the period before."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from google.type.date_pb2 import Date

from carelane.admin.v1 import admin_service_pb2 as pb
from carelane.admin.v1 import analytics_pb2
from carelane.appointment.v1 import appointment_pb2
from server.admin import service
from server.core.errors import InvalidField
from server.core.period import Period
from tests.refusal import refused
from tests.rows import Practice, Served, add, add_person, add_practice, add_visit

# Years that nothing else of the run writes to; one for each test that counts.
TODAY = date(2026, 7, 3)


def day(year: int, month: int, number: int) -> Any:
    return Date(year=year, month=month, day=number)


async def analytics(admin: Served, **fields: Any) -> analytics_pb2.Analytics:
    request = pb.GetAnalyticsRequest(**fields)
    answer = await admin.call("GetAnalytics", request, by=("admin", uuid4()))
    return answer.analytics  # type: ignore[no-any-return]


async def add_payment(
    owner: Any, at: Practice, patient: UUID, settled: datetime | None, amount: str
) -> None:
    start = settled or datetime(1980, 1, 1, tzinfo=UTC)
    visit = await add_visit(owner, at, patient, start=start, status="completed")
    await add(
        owner,
        "payment_transaction",
        transaction_id=uuid4(),
        clinic_id=at.clinic_id,
        appointment_id=visit,
        patient_id=patient,
        doctor_id=at.doctor_id,
        amount=Decimal(amount),
        currency_code=at.currency,
        status="settled" if settled else "pending",
        settle_time=settled,
    )


async def test_visits_are_counted_by_state_and_day(admin: Served, owner: Any) -> None:
    practice, patient = await add_practice(owner), await add_person(owner)
    start = datetime(1951, 3, 1, 4, tzinfo=UTC)
    for days, status in ((0, "completed"), (0, "no_show"), (2, "booked"), (2, "cancelled")):
        by = {"cancelled_by": "patient"} if status == "cancelled" else {}
        moment = start + timedelta(days=days, hours=len(status))
        await add_visit(owner, practice, patient, start=moment, status=status, **by)
    found = await analytics(admin, from_date=day(1951, 3, 1), until_date=day(1951, 3, 3))
    states = {
        appointment_pb2.AppointmentStatus.Name(each.status): each.count
        for each in found.appointments_by_status
    }
    assert states == {
        f"APPOINTMENT_STATUS_{name}": 1 for name in ("BOOKED", "COMPLETED", "CANCELLED", "NO_SHOW")
    }
    days = [(d.date.day, d.count, d.completed, d.cancelled) for d in found.appointments_by_day]
    assert days == [(1, 2, 1, 0), (2, 0, 0, 0), (3, 2, 0, 1)]


async def test_growth_compares_with_the_period_of_the_same_length_before(
    admin: Served, owner: Any
) -> None:
    practice, patient = await add_practice(owner), await add_person(owner)
    start = datetime(1952, 3, 1, 4, tzinfo=UTC)
    for days in (-8, -7, -1, 0, 1, 6, 7):
        await add_visit(owner, practice, patient, start=start + timedelta(days=days))
    found = (
        await analytics(admin, from_date=day(1952, 3, 1), until_date=day(1952, 3, 7))
    ).appointments
    assert (found.current, found.previous, found.ratio) == (3, 2, 0.5)


async def test_there_is_no_ratio_to_nothing(admin: Served, owner: Any) -> None:
    found = await analytics(admin, from_date=day(1953, 1, 1), until_date=day(1953, 1, 1))
    assert not found.appointments.HasField("ratio")
    assert not found.revenue


async def test_a_day_is_the_one_at_the_clinic(admin: Served, owner: Any) -> None:
    practice, patient = await add_practice(owner), await add_person(owner)
    late = datetime(1954, 5, 1, 20, tzinfo=UTC)  # 01:30 on the next day in Kolkata
    await add_visit(owner, practice, patient, start=late)
    found = await analytics(admin, from_date=day(1954, 5, 1), until_date=day(1954, 5, 2))
    assert [each.count for each in found.appointments_by_day] == [0, 1]


async def test_revenue_is_what_was_settled_in_each_currency(admin: Served, owner: Any) -> None:
    rupees, dirhams = await add_practice(owner), await add_practice(owner, currency="AED")
    patient, start = await add_person(owner), datetime(1955, 6, 10, tzinfo=UTC)
    for practice, days, amount in (
        (rupees, 0, "500.50"),
        (rupees, 1, "250.25"),
        (rupees, -1, "250.25"),
        (rupees, 2, "9"),
        (rupees, -3, "9"),
        (dirhams, 0, "80"),
    ):
        await add_payment(owner, practice, patient, start + timedelta(days=days), amount)
    await add_payment(owner, rupees, patient, None, "1000")
    found = await analytics(admin, from_date=day(1955, 6, 10), until_date=day(1955, 6, 11))
    figures = [
        (each.current.currency_code, each.current.units, each.current.nanos, each.previous.units)
        for each in found.revenue
    ]
    assert figures == [("AED", 80, 0, 0), ("INR", 750, 750_000_000, 250)]
    assert [each.HasField("ratio") for each in found.revenue] == [False, True]
    assert found.revenue[1].ratio == pytest.approx(2.0)


async def test_people_and_doctors_are_counted(admin: Served, owner: Any) -> None:
    made = datetime(1956, 2, 1, tzinfo=UTC)
    for days in (0, 1, -1):
        await add_person(owner, create_time=made + timedelta(days=days))
    practice = await add_practice(owner)
    await owner.execute(
        "UPDATE doctor_profile SET create_time = $2 WHERE doctor_id = $1", practice.doctor_id, made
    )
    found = await analytics(admin, from_date=day(1956, 2, 1), until_date=day(1956, 2, 2))
    assert (found.new_users.current, found.new_users.previous, found.new_users.ratio) == (2, 1, 1.0)
    assert (found.new_doctors.current, found.new_doctors.previous) == (1, 0)
    totals = await owner.fetchrow(
        "SELECT (SELECT count(*) FROM user_account) AS users,"
        " (SELECT count(*) FROM doctor_profile WHERE verification_status = 'verified') AS doctors,"
        " (SELECT count(*) FROM verification WHERE status = 'pending') AS pending"
    )
    counts = (found.user_count, found.verified_doctor_count, found.pending_doctor_count)
    assert counts == tuple(totals.values())


async def test_without_dates_it_is_the_last_thirty_days(admin: Served) -> None:
    found = await analytics(admin)
    assert len(found.appointments_by_day) == 30
    assert found.until_date == found.appointments_by_day[-1].date
    today = datetime.now(UTC).date()
    assert (found.until_date.month, found.until_date.day) == (today.month, today.day)


def test_a_period_without_a_beginning_has_thirty_days() -> None:
    asked = service.period(None, date(2026, 3, 30), today=TODAY)
    assert asked == Period(date(2026, 3, 1), date(2026, 3, 30))


def test_a_period_may_have_a_year_and_a_day_and_no_more() -> None:
    assert len(service.period(date(2024, 1, 1), date(2024, 12, 31), today=TODAY).days) == 366
    with pytest.raises(InvalidField):
        service.period(date(2024, 1, 1), date(2025, 1, 1), today=TODAY)


def test_the_period_before_ends_the_day_before() -> None:
    before = Period(date(2026, 3, 1), date(2026, 3, 31)).before()
    assert before == Period(date(2026, 1, 29), date(2026, 2, 28))


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"from_date": day(2026, 2, 30)}, "from_date"),
        ({"from_date": Date()}, "from_date"),
        ({"until_date": day(2201, 1, 1)}, "until_date"),
        ({"until_date": day(1899, 12, 31)}, "until_date"),
        ({"from_date": day(2026, 2, 2), "until_date": day(2026, 2, 1)}, "until_date"),
        ({"from_date": day(2024, 1, 1), "until_date": day(2025, 1, 1)}, "from_date"),
    ],
)
async def test_an_impossible_period_is_refused_by_its_field(
    admin: Served, fields: dict[str, Any], path: str
) -> None:
    refusal = await refused(analytics(admin, **fields))
    assert (refusal.reason, list(refusal.fields)) == ("INVALID_FIELD", [path])


async def test_the_first_days_that_can_be_named_are_answered(admin: Served) -> None:
    found = await analytics(admin, from_date=day(1900, 1, 1), until_date=day(1900, 12, 31))
    assert len(found.appointments_by_day) == 365
