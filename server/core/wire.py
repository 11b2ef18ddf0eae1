"""Convert between messages and plain values: dates, instants, money and enums.

`to_…` reads a message into a plain value, and raises InvalidField for what the contract's rules
cannot say; `from_…` writes a message from a plain value.
"""

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp
from google.type import date_pb2, money_pb2

from server.core.errors import InvalidField

FIRST_YEAR, LAST_YEAR = 1900, 2200
DATE_RULE = f"must be a date of the calendar in the years {FIRST_YEAR} to {LAST_YEAR}"
TIME_RULE = f"must be an instant in the years {FIRST_YEAR} to {LAST_YEAR}"
MONEY_RULE = "must be units and nanos of the same sign, with at most three decimals"
CURRENCY_RULE = "must be a currency code of three capital letters (ISO 4217)"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_SECOND = int(datetime(FIRST_YEAR, 1, 1, tzinfo=UTC).timestamp())
_END_SECOND = int(datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC).timestamp())
_CURRENCY = re.compile("[A-Z]{3}")
_MAX_UNITS = 10**11  # what numeric(14, 3) holds
_NANOS_KEPT = 1_000_000


def to_id(text: str, field: str) -> UUID:
    """Read a UUID in its usual form, with or without capitals."""
    try:
        found = UUID(text)
    except ValueError:
        raise InvalidField(field, "must be a UUID") from None
    if str(found) != text.lower():
        raise InvalidField(field, "must be a UUID")
    return found


def to_optional_id(text: str, field: str) -> UUID | None:
    """Read a UUID that may be left empty."""
    return to_id(text, field) if text else None


def to_optional_date(request: Any, field: str) -> date | None:
    """Read the google.type.Date in `field` of a request; None when it is unset."""
    return to_date(getattr(request, field), field) if request.HasField(field) else None


def to_date(message: Any, field: str) -> date:
    """Read a google.type.Date; one without year, month or day is refused."""
    if not FIRST_YEAR <= message.year <= LAST_YEAR:
        raise InvalidField(field, DATE_RULE)
    try:
        return date(message.year, message.month, message.day)
    except ValueError:
        raise InvalidField(field, DATE_RULE) from None


def from_date(day: date) -> Any:
    """Write a google.type.Date."""
    return date_pb2.Date(year=day.year, month=day.month, day=day.day)


def to_time(message: Timestamp, field: str) -> datetime:
    """Read an instant, aware and in UTC, cut off to the microsecond."""
    if not (_FIRST_SECOND <= message.seconds < _END_SECOND and 0 <= message.nanos < 1_000_000_000):
        raise InvalidField(field, TIME_RULE)
    return _EPOCH + timedelta(seconds=message.seconds, microseconds=message.nanos // 1000)


def to_optional_time(request: Any, field: str) -> datetime | None:
    """Read the Timestamp in `field` of a request; None when it is unset."""
    return to_time(getattr(request, field), field) if request.HasField(field) else None


def from_time(instant: datetime) -> Timestamp:
    """Write an instant; it must be aware."""
    since = instant - _EPOCH
    return Timestamp(seconds=since.days * 86_400 + since.seconds, nanos=since.microseconds * 1000)


def to_money(message: Any, field: str) -> tuple[Decimal, str]:
    """Read the amount and the currency code of a google.type.Money."""
    units, nanos = message.units, message.nanos
    if not _CURRENCY.fullmatch(message.currency_code):
        raise InvalidField(f"{field}.currency_code", CURRENCY_RULE)
    if abs(nanos) >= 1_000_000_000 or units * nanos < 0 or nanos % _NANOS_KEPT:
        raise InvalidField(f"{field}.nanos", MONEY_RULE)
    if abs(units) >= _MAX_UNITS:
        raise InvalidField(f"{field}.units", f"must be less than {_MAX_UNITS}")
    return units + Decimal(nanos) / 1_000_000_000, message.currency_code


def from_money(amount: Decimal, currency_code: str) -> Any:
    """Write a google.type.Money."""
    units = int(amount)
    nanos = int((amount - units) * 1_000_000_000)
    return money_pb2.Money(currency_code=currency_code, units=units, nanos=nanos)


class EnumNames:
    """The short names of an enum's values, as the tables keep them.

    `EnumNames(pb.AppointmentStatus)` knows APPOINTMENT_STATUS_BOOKED as 'booked', and the value 0
    as ''.
    """

    def __init__(self, enum: Any) -> None:
        prefix = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", enum.DESCRIPTOR.name).upper() + "_"
        values = ((number, name.removeprefix(prefix).lower()) for name, number in enum.items())
        self._names = {number: name if number else "" for number, name in values}
        self._numbers = {name: number for number, name in self._names.items()}

    def name(self, number: int, field: str = "") -> str:
        """Answer the short name; raise InvalidField for a number that the contract lacks."""
        try:
            return self._names[number]
        except KeyError:
            raise InvalidField(field, "must be a value of the contract") from None

    def number(self, name: str | None) -> Any:
        """Answer the value; 0 for None, KeyError for a name that the contract lacks."""
        return self._numbers[name or ""]
