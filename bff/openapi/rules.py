"""The contract's validation rules as keywords of JSON Schema."""

from functools import cache
from typing import Any, Final

import protovalidate
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message_factory import GetMessageClass

from bff.scalars import allowed_numbers
from bff.to_json import WideIntegers
from buf.validate import validate_pb2

Schema = dict[str, Any]

_BOUNDS: Final = {
    "gte": "minimum",
    "gt": "exclusiveMinimum",
    "lte": "maximum",
    "lt": "exclusiveMaximum",
    "const": "const",
}
_TEXT: Final = {
    "min_len": "minLength",
    "max_len": "maxLength",
    "pattern": "pattern",
    "const": "const",
}
_FORMATS: Final = ("email", "uuid", "uri", "hostname", "ipv4", "ipv6")
_LIST: Final = {"min_items": "minItems", "max_items": "maxItems"}
_MAP: Final = {"min_pairs": "minProperties", "max_pairs": "maxProperties"}


def rules_of(field: FieldDescriptor) -> Any:
    """Answer the rules on a field; empty ones where there are none."""
    return field.GetOptions().Extensions[validate_pb2.field]


def restrict(schema: Schema, field: FieldDescriptor, rules: Any) -> Schema:
    """Add the rules' keywords to the schema of one element of a field."""
    kind = rules.WhichOneof("type")
    if kind is None or kind in {"repeated", "map"} or field.type in WideIntegers:
        return schema
    held = getattr(rules, kind)
    if kind == "string":
        return schema | _keywords(held, _TEXT) | _format(held) | _choice(held)
    if kind == "enum" and field.enum_type is not None:
        return _enum(schema, rules, field.enum_type)
    if kind in {"double", "float", "int32", "uint32", "sint32", "fixed32", "sfixed32"}:
        return schema | _keywords(held, _BOUNDS) | _choice(held)
    return schema


def restrict_list(schema: Schema, rules: Any) -> Schema:
    """Add the rules' keywords to the schema of a list."""
    unique = {"uniqueItems": True} if rules.repeated.unique else {}
    return schema | _keywords(rules.repeated, _LIST) | unique


def restrict_map(schema: Schema, rules: Any) -> Schema:
    """Add the rules' keywords to the schema of a map."""
    return schema | _keywords(rules.map, _MAP)


def _keywords(held: Any, names: dict[str, str]) -> Schema:
    """Answer the keywords for the rules that are set; each name is a rule and its keyword."""
    known = held.DESCRIPTOR.fields_by_name
    return {
        keyword: getattr(held, rule)
        for rule, keyword in names.items()
        if rule in known and held.HasField(rule)
    }


def _format(held: Any) -> Schema:
    return next(({"format": name} for name in _FORMATS if getattr(held, name)), {})


def _choice(held: Any) -> Schema:
    allowed = [*getattr(held, "in")]
    return {"enum": allowed} if allowed else {}


def _enum(schema: Schema, rules: Any, descriptor: EnumDescriptor) -> Schema:
    """Answer a schema of its own where rules leave only some of the values."""
    values = descriptor.values
    allowed = allowed_numbers(rules, descriptor)
    if len(allowed) == len(values):
        return schema
    return {"type": "string", "enum": [value.name for value in values if value.number in allowed]}


def sentences(descriptor: Descriptor) -> list[str]:
    """Answer what the rules on a message as a whole say."""
    options = descriptor.GetOptions().Extensions[validate_pb2.message]
    return [rule.message for rule in options.cel if rule.message]


@cache
def required(descriptor: Descriptor) -> frozenset[str]:
    """Answer the fields, by proto names, without which a message breaks its rules."""
    empty = GetMessageClass(descriptor)()
    violations = protovalidate.Validator().collect_violations(empty)
    paths = [violation.proto.field.elements for violation in violations if violation.proto.field]
    return frozenset(path[0].field_name for path in paths if len(path) == 1)
