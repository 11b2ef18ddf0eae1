"""The well-known types whose JSON is not an object of their fields.

ProtoJSON writes a Timestamp as text, a Struct as the object it holds, and so on. Each `…_json`
answers the JSON value of a message; each `fill_…` puts a JSON value into an empty message and
raises Invalid for one that does not fit. Input is held stricter than ProtoJSON asks: RFC 3339 with
a `T` and a zone in capitals, finite numbers only.
"""

import math
import re
from datetime import datetime, timedelta
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.struct_pb2 import ListValue, Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp

from bff.names import camel, snake
from bff.problem import Invalid

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - seconds since the epoch carry no zone
_FIRST_SECOND = -62_135_596_800  # 0001-01-01T00:00:00Z
_LAST_SECOND = 253_402_300_799  # 9999-12-31T23:59:59Z
_LONGEST = 315_576_000_000  # seconds in 10,000 years: the range of Duration
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})"
    r"(?:\.([0-9]{1,9}))?(?:Z|([+-])([0-9]{2}):([0-9]{2}))"
)
_SPAN = re.compile(r"(-?)([0-9]{1,12})(?:\.([0-9]{1,9}))?s")
_MASK = re.compile(r"[a-z][a-zA-Z0-9]*(\.[a-z][a-zA-Z0-9]*)*")


def text(value: Any) -> str:
    """Answer a JSON string that UTF-8 and PostgreSQL can carry: no NUL, no lone surrogate."""
    if type(value) is not str:
        raise Invalid("must be a string")
    if "\0" in value:
        raise Invalid("must not contain NUL")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Invalid("must be valid Unicode") from None
    return value


def finite(value: Any) -> float:
    """Answer a JSON number as a double."""
    if type(value) not in (int, float):
        raise Invalid("must be a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise Invalid("must be a finite number")
    return number


def _fraction(nanos: int) -> str:
    if not nanos:
        return ""
    if nanos % 1_000_000 == 0:
        return f".{nanos // 1_000_000:03d}"
    if nanos % 1_000 == 0:
        return f".{nanos // 1_000:06d}"
    return f".{nanos:09d}"


def timestamp_json(message: Timestamp) -> str:
    """Write RFC 3339 in UTC, with 0, 3, 6 or 9 digits of a second."""
    whole = (_EPOCH + timedelta(0, message.seconds)).isoformat()
    return f"{whole}{_fraction(message.nanos)}Z"


def fill_timestamp(message: Timestamp, value: Any) -> None:
    """Read RFC 3339 with a zone; the instant must lie in the years 0001 to 9999."""
    found = _TIME.fullmatch(value) if type(value) is str else None
    if not found:
        raise Invalid("must be a time such as 2030-01-31T09:00:00Z")
    whole, fraction, sign, hours, minutes = found.groups()
    try:
        elapsed = datetime.fromisoformat(whole) - _EPOCH
    except ValueError:
        raise Invalid("must be a time that exists") from None
    if sign and not (int(hours) < 24 and int(minutes) < 60):
        raise Invalid("must have a zone within a day of UTC")
    seconds = elapsed.days * 86_400 + elapsed.seconds
    if sign:
        ahead = int(hours) * 3600 + int(minutes) * 60
        seconds += ahead if sign == "-" else -ahead
    if not _FIRST_SECOND <= seconds <= _LAST_SECOND:
        raise Invalid("must lie in the years 0001 to 9999")
    message.seconds = seconds
    message.nanos = int((fraction or "").ljust(9, "0"))


def duration_json(message: Duration) -> str:
    """Write seconds with an `s`, such as `1.500s` or `-0.250s`."""
    sign = "-" if message.seconds < 0 or message.nanos < 0 else ""
    return f"{sign}{abs(message.seconds)}{_fraction(abs(message.nanos))}s"


def fill_duration(message: Duration, value: Any) -> None:
    """Read seconds with an `s`, at most 10,000 years either way."""
    found = _SPAN.fullmatch(value) if type(value) is str else None
    if not found:
        raise Invalid("must be a duration in seconds such as 90s or 1.5s")
    sign, seconds, fraction = found.groups()
    factor = -1 if sign else 1
    nanos = int((fraction or "").ljust(9, "0"))
    if int(seconds) > _LONGEST or (int(seconds) == _LONGEST and nanos):
        raise Invalid("must be at most 10,000 years")
    message.seconds = factor * int(seconds)
    message.nanos = factor * nanos


def field_mask_json(message: FieldMask) -> str:
    """Write the paths in lowerCamelCase, joined by commas."""
    return ",".join(camel(path) for path in message.paths)


def fill_field_mask(message: FieldMask, value: Any) -> None:
    """Read paths in lowerCamelCase, joined by commas."""
    if type(value) is not str or not all(map(_MASK.fullmatch, value.split(",") if value else ())):
        raise Invalid("must be field names in lowerCamelCase, joined by commas")
    message.Clear()
    message.paths.extend(snake(path) for path in value.split(",") if path)


def struct_json(message: Struct) -> dict[str, Any]:
    """Write the object that the Struct holds."""
    return {name: value_json(value) for name, value in message.fields.items()}


def list_json(message: ListValue) -> list[Any]:
    """Write the array that the ListValue holds."""
    return [value_json(value) for value in message.values]


def value_json(message: Value) -> Any:
    """Write the value that the Value holds; an unset one is null."""
    kind = message.WhichOneof("kind")
    if kind is None or kind == "null_value":
        return None
    if kind == "struct_value":
        return struct_json(message.struct_value)
    if kind == "list_value":
        return list_json(message.list_value)
    held = getattr(message, kind)
    if kind == "number_value" and not math.isfinite(held):
        raise ValueError("a Value cannot hold NaN or Infinity as JSON")
    return held


def fill_struct(message: Struct, value: Any) -> None:
    """Read any object."""
    if type(value) is not dict:
        raise Invalid("must be an object")
    message.Clear()
    for name, item in value.items():
        fill_value(message.fields[text(name)], item)


def fill_list(message: ListValue, value: Any) -> None:
    """Read any array."""
    if type(value) is not list:
        raise Invalid("must be an array")
    for item in value:
        fill_value(message.values.add(), item)


def fill_value(message: Value, value: Any) -> None:
    """Read any JSON value."""
    match value:
        case None:
            message.null_value = 0  # type: ignore[assignment]
        case bool():
            message.bool_value = value
        case str():
            message.string_value = text(value)
        case int() | float():
            message.number_value = finite(value)
        case list():
            message.list_value.SetInParent()
            fill_list(message.list_value, value)
        case _:
            message.struct_value.SetInParent()
            fill_struct(message.struct_value, value)
