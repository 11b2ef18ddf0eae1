"""Message → JSON value, by a function that is built once per message type from its descriptor.

The result is canonical ProtoJSON: lowerCamelCase names, 64-bit integers as strings, enums by name,
Timestamp, Duration, FieldMask, wrappers and Struct in their own forms. Fields without presence
(plain scalars, lists, maps) are always there, also when empty, so that a client reads `.items`
without asking first; fields with presence (messages, `optional`, oneof members) only when set.
That is `json_format.MessageToDict(message, always_print_fields_with_no_presence=True)`, at about a
fifth of its cost: each function is compiled from an expression per field, as dataclasses are.
"""

import base64
import math
import struct
from collections.abc import Callable
from itertools import takewhile
from keyword import iskeyword
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from bff import wellknown

type_of = FieldDescriptor
WideIntegers: Final = {
    type_of.TYPE_INT64,
    type_of.TYPE_UINT64,
    type_of.TYPE_SINT64,
    type_of.TYPE_FIXED64,
    type_of.TYPE_SFIXED64,
}
ToJson = Callable[[Any], Any]

_WELL_KNOWN: Final[dict[str, ToJson]] = {
    "google.protobuf.Timestamp": wellknown.timestamp_json,
    "google.protobuf.Duration": wellknown.duration_json,
    "google.protobuf.FieldMask": wellknown.field_mask_json,
    "google.protobuf.Struct": wellknown.struct_json,
    "google.protobuf.ListValue": wellknown.list_json,
    "google.protobuf.Value": wellknown.value_json,
}
_built: Final[dict[Descriptor, ToJson]] = {}


def converter(descriptor: Descriptor) -> ToJson:
    """Answer the function that turns a message of this type into a value orjson can write."""
    if descriptor not in _built:
        # A type that contains itself finds this detour until its own function is there.
        def detour(message: Any) -> Any:
            return _built[descriptor](message)

        _built[descriptor] = detour
        _built[descriptor] = _build(descriptor)
    return _built[descriptor]


def _build(descriptor: Descriptor) -> ToJson:
    if descriptor.full_name in _WELL_KNOWN:
        return _WELL_KNOWN[descriptor.full_name]
    if descriptor.full_name == "google.protobuf.Any":
        raise TypeError("google.protobuf.Any has no place in the REST contract")
    used: dict[str, Any] = {}
    if descriptor.file.name == "google/protobuf/wrappers.proto":
        body = f"  return {_element(descriptor.fields_by_name['value'], 'm.value', used)}"
    else:
        body = _object(descriptor, used)
    source = f"def convert(m):\n{body}"
    exec(compile(source, f"<to_json {descriptor.full_name}>", "exec"), used)  # noqa: S102 - made of descriptors alone
    convert: ToJson = used["convert"]
    return convert


def _object(descriptor: Descriptor, used: dict[str, Any]) -> str:
    """Write the lines that make the object, its fields in the contract's order."""
    fields = [*descriptor.fields]
    leading = [*takewhile(lambda field: not field.has_presence, fields)]
    pairs = ", ".join(f"{field.json_name!r}: {_value(field, used)}" for field in leading)
    lines = [f"  d = {{{pairs}}}"]
    for field in fields[len(leading) :]:
        indent = "  "
        if field.has_presence:
            lines.append(f"  if m.HasField({field.name!r}):")
            indent = "    "
        lines.append(f"{indent}d[{field.json_name!r}] = {_value(field, used)}")
    return "\n".join([*lines, "  return d"])


def _value(field: FieldDescriptor, used: dict[str, Any]) -> str:
    """Write the expression for a whole field of the message `m`."""
    held = f"getattr(m, {field.name!r})" if iskeyword(field.name) else f"m.{field.name}"
    if not field.is_repeated:
        return _element(field, held, used)
    entry = field.message_type
    if entry is not None and entry.GetOptions().map_entry:
        key = _key(entry.fields_by_name["key"])
        item = _element(entry.fields_by_name["value"], "v", used)
        return f"{{{key}: {item} for k, v in {held}.items()}}"
    item = _element(field, "v", used)
    return f"[*{held}]" if item == "v" else f"[{item} for v in {held}]"


def _key(field: FieldDescriptor) -> str:
    if field.type == type_of.TYPE_STRING:
        return "k"
    return "('true' if k else 'false')" if field.type == type_of.TYPE_BOOL else "str(k)"


def _element(field: FieldDescriptor, held: str, used: dict[str, Any]) -> str:
    """Write the expression that turns one element, held by the expression `held`, into JSON."""
    if field.type in WideIntegers:
        return f"str({held})"
    called = _function(field)
    if called is None:
        return held
    name = f"f{len(used)}"
    used[name] = called
    return f"{name}[{held}]" if isinstance(called, _EnumNames) else f"{name}({held})"


def _function(field: FieldDescriptor) -> Any:
    if field.message_type is not None:
        return converter(field.message_type)
    if field.enum_type is not None:
        return _enum(field.enum_type)
    match field.type:
        case type_of.TYPE_DOUBLE:
            return _double
        case type_of.TYPE_FLOAT:
            return _float
        case type_of.TYPE_BYTES:
            return _bytes
    return None


class _EnumNames(dict[int, str]):
    """The names of an enum by number; a number of a newer contract stays a number."""

    def __missing__(self, number: int) -> int:
        return number


def _enum(descriptor: EnumDescriptor) -> Any:
    if descriptor.full_name == "google.protobuf.NullValue":
        return lambda _: None
    return _EnumNames({number: value.name for number, value in descriptor.values_by_number.items()})


def _double(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _float(value: float) -> float | str:
    """Write the shortest decimal that is the same float of 32 bits."""
    if not math.isfinite(value):
        return _double(value)
    for digits in (6, 7, 8):
        short = float(f"{value:.{digits}g}")
        if _same_float(short, value):
            return short
    return float(f"{value:.9g}")


def _same_float(short: float, value: float) -> bool:
    try:
        return bool(struct.unpack("f", struct.pack("f", short))[0] == value)
    except OverflowError:  # rounded up beyond the largest float
        return False


def _bytes(value: bytes) -> str:
    return base64.b64encode(value).decode()
