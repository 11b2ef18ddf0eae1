"""JSON value → message, by a function that is built once per message type from its descriptor.

Input is held to what the OpenAPI document says, which is a strict ProtoJSON: lowerCamelCase names
and no others, enums by name, no strings for 32-bit integers, numbers or booleans, no NaN. A 64-bit
integer may be a string or a number; null means absent. All faults of an object are found at once
and named by their paths; what the client sent never stands in one.
"""

import base64
import re
from collections.abc import Callable
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from bff import wellknown
from bff.problem import Fault, Invalid
from bff.to_json import WideIntegers, type_of

Fill = Callable[[Any, Any], None]  # (empty message, JSON value)
Read = Callable[[Any], Any]  # JSON value → field value
Assign = Callable[[Any, Any], None]  # (message that has the field, JSON value of the field)

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
_WELL_KNOWN: Final[dict[str, Fill]] = {
    "google.protobuf.Timestamp": wellknown.fill_timestamp,
    "google.protobuf.Duration": wellknown.fill_duration,
    "google.protobuf.FieldMask": wellknown.fill_field_mask,
    "google.protobuf.Struct": wellknown.fill_struct,
    "google.protobuf.ListValue": wellknown.fill_list,
    "google.protobuf.Value": wellknown.fill_value,
}
_built: Final[dict[Descriptor, Fill]] = {}


def filler(descriptor: Descriptor) -> Fill:
    """Answer what fills an empty message of this type from a JSON value, or raises Invalid."""
    if descriptor not in _built:
        # A type that contains itself finds this detour until its own function is there.
        def detour(message: Any, value: Any) -> None:
            _built[descriptor](message, value)

        _built[descriptor] = detour
        _built[descriptor] = _build(descriptor)
    return _built[descriptor]


def _build(descriptor: Descriptor) -> Fill:
    if descriptor.full_name in _WELL_KNOWN:
        return _WELL_KNOWN[descriptor.full_name]
    if descriptor.full_name == "google.protobuf.Any":
        raise TypeError("google.protobuf.Any has no place in the REST contract")
    if descriptor.file.name == "google/protobuf/wrappers.proto":
        return assigner(descriptor.fields_by_name["value"])
    return object_filler({field.json_name: assigner(field) for field in descriptor.fields})


def object_filler(fields: dict[str, Assign]) -> Fill:
    """Answer the function that fills a message from an object with these fields, by JSON names."""
    allowed = ", ".join(sorted(fields)) or "none"
    unknown = Fault("", f"has an unknown field; allowed are: {allowed}")

    def fill(message: Message, value: Any) -> None:
        if type(value) is not dict:
            raise Invalid("must be an object")
        faults: list[Fault] = []
        for name, item in value.items():
            assign = fields.get(name)
            try:
                if assign is not None:
                    assign(message, item)
                elif unknown not in faults:
                    faults.append(unknown)
            except Invalid as invalid:
                faults += invalid.under(name)
        if faults:
            raise Invalid(faults=faults)

    return fill


def assigner(field: FieldDescriptor) -> Assign:
    """Answer the function that sets one field of a message from its JSON value."""
    assign = _plural(field) if field.is_repeated else _singular(field)
    if _null_is_a_value(field):
        return assign
    oneof = field.containing_oneof
    group = oneof.name if oneof is not None and len(oneof.fields) > 1 else None

    def assign_unless_null(message: Message, value: Any) -> None:
        if value is None:
            return
        if group is not None and message.WhichOneof(group):
            raise Invalid(f"excludes the other fields of {group}: give one of them")
        assign(message, value)

    return assign_unless_null


def _null_is_a_value(field: FieldDescriptor) -> bool:
    if field.is_repeated:
        return False
    of = field.message_type or field.enum_type
    return of is not None and of.full_name in {"google.protobuf.Value", "google.protobuf.NullValue"}


def _singular(field: FieldDescriptor) -> Assign:
    name = field.name
    if field.message_type is not None:
        fill = filler(field.message_type)

        def assign_message(message: Message, value: Any) -> None:
            held = getattr(message, name)
            held.SetInParent()
            fill(held, value)

        return assign_message
    read = reader(field)

    def assign(message: Message, value: Any) -> None:
        setattr(message, name, read(value))

    return assign


def _plural(field: FieldDescriptor) -> Assign:
    entry = field.message_type
    if entry is None:
        return _list(field.name, reader(field), None)
    if not entry.GetOptions().map_entry:
        return _list(field.name, None, filler(entry))
    return _map(field.name, entry.fields_by_name["key"], entry.fields_by_name["value"])


def _list(name: str, read: Read | None, fill: Fill | None) -> Assign:
    """Assign an array: elements are read, or added empty and filled."""

    def assign(message: Message, value: Any) -> None:
        if type(value) is not list:
            raise Invalid("must be an array")
        held = getattr(message, name)
        for index, item in enumerate(value):
            try:
                if fill:
                    fill(held.add(), item)
                elif read:
                    held.append(read(item))
            except Invalid as invalid:
                raise Invalid(faults=invalid.under(f"[{index}]")) from None

    return assign


def _map(name: str, key: FieldDescriptor, item: FieldDescriptor) -> Assign:
    """Assign an object as a map; a fault names the map alone, since its keys are the client's."""
    read_key = _map_key(key)
    fill = filler(item.message_type) if item.message_type else None
    read = None if fill else reader(item)

    def assign(message: Message, value: Any) -> None:
        if type(value) is not dict:
            raise Invalid("must be an object")
        held = getattr(message, name)
        for text, element in value.items():
            if fill:
                fill(held[read_key(text)], element)
            elif read:
                held[read_key(text)] = read(element)

    return assign


def _map_key(field: FieldDescriptor) -> Read:
    if field.type == type_of.TYPE_STRING:
        return wellknown.text
    if field.type == type_of.TYPE_BOOL:
        return text_bool
    return _integer(*_BOUNDS[field.type], as_text=True)


def reader(field: FieldDescriptor) -> Read:
    """Answer what turns the JSON value of a scalar field into the field's value."""
    if field.type in _BOUNDS:
        return _integer(*_BOUNDS[field.type], as_text=field.type in WideIntegers)
    if field.enum_type is not None:
        return _enum(field.enum_type)
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


def _enum(descriptor: EnumDescriptor) -> Read:
    if descriptor.full_name == "google.protobuf.NullValue":
        return _null
    numbers = {value.name: value.number for value in descriptor.values}
    rule = f"must be one of {', '.join(numbers)}"

    def read(value: Any) -> int:
        if type(value) is not str or value not in numbers:
            raise Invalid(rule)
        return numbers[value]

    return read


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
