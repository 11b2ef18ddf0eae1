"""Checks of single JSON values, each for one kind of scalar field."""

import base64
import re
from collections.abc import Callable
from typing import Any, Final

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

from bff import wellknown
from bff.problem import Invalid
from bff.to_json import WideIntegers, type_of
from buf.validate import validate_pb2

Read = Callable[[Any], Any]  # JSON value → field value

_INT32: Final = (-(2**31), 2**31 - 1)
_UINT32: Final = (0, 2**32 - 1)
_INT64: Final = (-(2**63), 2**63 - 1)
_UINT64: Final = (0, 2**64 - 1)
_BOUNDS: Final = {
    type_of.TYPE_INT32: _INT32,
    type_of.TYPE_SINT32: _INT32,
    type_of.TYPE_SFIXED32: _INT32,
    type_of.TYPE_UINT32: _UINT32,
    type_of.TYPE_FIXED32: _UINT32,
    type_of.TYPE_INT64: _INT64,
    type_of.TYPE_SINT64: _INT64,
    type_of.TYPE_SFIXED64: _INT64,
    type_of.TYPE_UINT64: _UINT64,
    type_of.TYPE_FIXED64: _UINT64,
}
_LARGEST_FLOAT: Final = 3.4028235e38  # as it is written; json_format refuses this one
_DIGITS: Final = re.compile(r"-?[0-9]{1,20}")
_BASE64: Final = re.compile(r"([A-Za-z0-9+/_-]{4})*([A-Za-z0-9+/_-]{2}(==)?|[A-Za-z0-9+/_-]{3}=?)?")
_TO_STANDARD_BASE64: Final = str.maketrans("-_", "+/")


def reader(field: FieldDescriptor) -> Read:
    """Answer what turns the JSON value of a scalar field into the field's value."""
    if field.type in _BOUNDS:
        return _integer(*_BOUNDS[field.type], as_text=field.type in WideIntegers)
    if field.enum_type is not None:
        return _enum(field, field.enum_type)
    match field.type:
        case type_of.TYPE_DOUBLE:
            return wellknown.finite
        case type_of.TYPE_FLOAT:
            return _float
        case type_of.TYPE_BOOL:
            return _bool
        case type_of.TYPE_BYTES:
            return _bytes
    return wellknown.text


def reader_of_key(field: FieldDescriptor) -> Read:
    """Answer what turns a name of a JSON object into the key of a map."""
    if field.type == type_of.TYPE_STRING:
        return wellknown.text
    if field.type == type_of.TYPE_BOOL:
        return text_bool
    return _integer(*_BOUNDS[field.type], as_text=True)


def _integer(low: int, high: int, *, as_text: bool) -> Read:
    rule = f"must be an integer from {low} to {high}"

    def read(value: Any) -> int:
        number = int(value) if _is_whole(value, as_text=as_text) else value
        if type(number) is not int or not low <= number <= high:
            raise Invalid(rule)
        return number

    return read


def _is_whole(value: Any, *, as_text: bool) -> bool:
    if type(value) is float:
        return value.is_integer()
    return as_text and type(value) is str and _DIGITS.fullmatch(value) is not None


def _enum(field: FieldDescriptor, descriptor: EnumDescriptor) -> Read:
    """Read the name of any value; a refusal offers those that the contract allows here."""
    if descriptor.full_name == "google.protobuf.NullValue":
        return _null
    numbers = {value.name: value.number for value in descriptor.values}
    rules = field.GetOptions().Extensions[validate_pb2.field]
    allowed = allowed_numbers(rules.repeated.items if field.is_repeated else rules, descriptor)
    rule = f"must be one of {', '.join(name for name in numbers if numbers[name] in allowed)}"

    def read(value: Any) -> int:
        if type(value) is not str or value not in numbers:
            raise Invalid(rule)
        return numbers[value]

    return read


def allowed_numbers(rules: Any, descriptor: EnumDescriptor) -> set[int]:
    """Answer the values of an enum that the rules of a field, or of its elements, leave."""
    every = {value.number for value in descriptor.values}
    return set(getattr(rules.enum, "in") or every) - set(rules.enum.not_in)


def _null(value: Any) -> int:
    if value is not None:
        raise Invalid("must be null")
    return 0


def _float(value: Any) -> float:
    number = wellknown.finite(value)
    if abs(number) > _LARGEST_FLOAT:
        raise Invalid("must be a number that 32 bits can hold")
    return number


def _bool(value: Any) -> bool:
    if type(value) is not bool:
        raise Invalid("must be true or false")
    return value


def text_bool(value: str) -> bool:
    """Read the words `true` and `false`, as keys of maps and query parameters carry them."""
    if value not in {"true", "false"}:
        raise Invalid("must be true or false")
    return value == "true"


def _bytes(value: Any) -> bytes:
    """Read base64, of either alphabet, with or without padding."""
    if type(value) is not str or not _BASE64.fullmatch(value):
        raise Invalid("must be base64")
    standard = value.rstrip("=").translate(_TO_STANDARD_BASE64)
    return base64.b64decode(standard + "=" * (-len(standard) % 4))
