"""JSON value → message, by a function that is built once per message type from its descriptor.

Input is held to what the OpenAPI document says, which is a strict ProtoJSON: lowerCamelCase names
and no others, enums by name, no strings for 32-bit integers, numbers or booleans, no NaN. A 64-bit
integer may be a string or a number; null means absent. All faults of an object are found at once
and named by their paths; what the client sent never stands in one.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from bff import wellknown
from bff.problem import Fault, Invalid
from bff.scalars import Read, reader, reader_of_key

Fill = Callable[[Any, Any], None]  # (empty message, JSON value)
Assign = Callable[[Any, Any], None]  # (message that has the field, JSON value of the field)

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


@cache
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
    read_key = reader_of_key(key)
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
