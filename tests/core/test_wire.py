"""Conversions between messages and plain values."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from google.type.money_pb2 import Money
from hypothesis import given
from hypothesis import strategies as st

from carelane.appointment.v1 import appointment_pb2
from server.core import wire
from server.core.errors import InvalidField

STATUS = wire.EnumNames(appointment_pb2.AppointmentStatus)


def refused(call: Any, *arguments: Any) -> list[str]:
    with pytest.raises(InvalidField) as refusal:
        call(*arguments)
    return [error.path for error in refusal.value.fields]


@given(st.dates(date(1900, 1, 1), date(2200, 12, 31)))
def test_a_date_survives_the_journey(day: date) -> None:
    assert wire.to_date(wire.from_date(day), "day") == day


@pytest.mark.parametrize(
    "message",
    [
        Date(),
        Date(year=2026, month=2, day=29),
        Date(year=2026, month=13, day=1),
        Date(year=2026, month=5),
        Date(year=1899, month=12, day=31),
        Date(year=2201, month=1, day=1),
        Date(year=2026, month=-1, day=1),
        Date(year=2**31 - 1, month=1, day=1),
    ],
)
def test_an_impossible_date_is_refused_by_its_field(message: Any) -> None:
    assert refused(wire.to_date, message, "from_date") == ["from_date"]


@given(
    st.datetimes(
        datetime(1900, 1, 1),  # noqa: DTZ001 - hypothesis takes the bounds naive
        datetime(2200, 12, 31),  # noqa: DTZ001
        timezones=st.just(UTC),
    )
)
def test_an_instant_survives_the_journey(instant: datetime) -> None:
    message = wire.from_time(instant)
    assert message.ToDatetime(UTC) == instant
    assert wire.to_time(message, "start_time") == instant


def test_an_instant_of_another_zone_is_written_in_utc() -> None:
    nepal = timezone(timedelta(hours=5, minutes=45))
    message = wire.from_time(datetime(2026, 3, 1, 5, 45, tzinfo=nepal))
    assert message.ToDatetime(UTC) == datetime(2026, 3, 1, tzinfo=UTC)


def test_nanoseconds_are_cut_off() -> None:
    assert wire.to_time(Timestamp(nanos=1999), "t").microsecond == 1


@pytest.mark.parametrize(
    "message",
    [
        Timestamp(seconds=-2208988801),
        Timestamp(seconds=7289654400),
        Timestamp(seconds=2**62),
        Timestamp(nanos=-1),
        Timestamp(nanos=1_000_000_000),
    ],
)
def test_an_impossible_instant_is_refused_by_its_field(message: Timestamp) -> None:
    assert refused(wire.to_time, message, "start_time") == ["start_time"]


def test_the_last_instant_kept_is_the_end_of_the_last_year() -> None:
    assert wire.to_time(Timestamp(seconds=7289654399), "t").year == 2200


@given(st.decimals("-99999999999.999", "99999999999.999", places=3))
def test_money_survives_the_journey(amount: Decimal) -> None:
    assert wire.to_money(wire.from_money(amount, "INR"), "fee") == (amount, "INR")


def test_a_negative_amount_has_units_and_nanos_below_zero() -> None:
    message = wire.from_money(Decimal("-1.75"), "EUR")
    assert (message.units, message.nanos) == (-1, -750_000_000)


@pytest.mark.parametrize(
    ("message", "path"),
    [
        (Money(units=1), "fee.currency_code"),
        (Money(currency_code="eur", units=1), "fee.currency_code"),
        (Money(currency_code="EUR", units=1, nanos=-1_000_000), "fee.nanos"),
        (Money(currency_code="EUR", units=-1, nanos=1_000_000), "fee.nanos"),
        (Money(currency_code="EUR", nanos=1_000_000_000), "fee.nanos"),
        (Money(currency_code="EUR", nanos=1), "fee.nanos"),
        (Money(currency_code="EUR", units=10**11), "fee.units"),
    ],
)
def test_impossible_money_is_refused_by_its_field(message: Any, path: str) -> None:
    assert refused(wire.to_money, message, "fee") == [path]


def test_an_enum_value_has_a_short_name() -> None:
    assert STATUS.name(appointment_pb2.APPOINTMENT_STATUS_BOOKED) == "booked"
    assert STATUS.number("no_show") == appointment_pb2.APPOINTMENT_STATUS_NO_SHOW
    assert (STATUS.name(0), STATUS.number(None)) == ("", 0)


def test_every_state_of_the_database_is_in_the_contract() -> None:
    for name in ("pending_payment", "booked", "checked_in", "in_consultation", "cancelled"):
        assert STATUS.name(STATUS.number(name)) == name


def test_an_enum_number_that_the_contract_lacks_is_refused() -> None:
    assert refused(STATUS.name, 99, "status") == ["status"]


@pytest.mark.parametrize("text", ["", "x", "{0190a0b0-0000-7000-8000-000000000000}", "1" * 32])
def test_an_id_that_is_no_uuid_is_refused(text: str) -> None:
    assert refused(wire.to_id, text, "doctor_id") == ["doctor_id"]


def test_an_id_may_be_in_capitals() -> None:
    text = "0190A0B0-0000-7000-8000-00000000000A"
    assert wire.to_id(text, "doctor_id") == UUID(text)
