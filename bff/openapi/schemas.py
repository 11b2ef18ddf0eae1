"""Message types as JSON Schemas, those of what the converters read and write."""

import re
from collections.abc import Iterable
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from bff.openapi import rules
from bff.openapi.comments import comment
from bff.openapi.rules import Schema
from bff.text_fields import DATE
from bff.to_json import type_of

_EXAMPLE: Final = re.compile(r"(?:such as|\() ?`([^`]+)`")
_INT32: Final = {"type": "integer", "format": "int32"}
_UINT32: Final = {"type": "integer", "format": "int64", "minimum": 0, "maximum": 2**32 - 1}
_INT64: Final = {"type": "string", "format": "int64", "pattern": "^-?[0-9]{1,19}$"}
_UINT64: Final = {"type": "string", "format": "uint64", "pattern": "^[0-9]{1,20}$"}
_SCALARS: Final[dict[int, Schema]] = {
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
    type_of.TYPE_DOUBLE: {"type": "number", "format": "double"},
    type_of.TYPE_FLOAT: {"type": "number", "format": "float"},
    type_of.TYPE_BOOL: {"type": "boolean"},
    type_of.TYPE_STRING: {"type": "string"},
    type_of.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
}
_WELL_KNOWN: Final[dict[str, Schema]] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {
        "type": "string",
        "pattern": r"^-?[0-9]{1,12}(\.[0-9]{1,9})?s$",
        "examples": ["90s"],
    },
    "google.protobuf.FieldMask": {
        "type": "string",
        "description": "Names of fields, joined by commas.",
        "pattern": r"^([a-z][a-zA-Z0-9]*(\.[a-z][a-zA-Z0-9]*)*(,|$))*$",
    },
    "google.protobuf.Struct": {"type": "object"},
    "google.protobuf.ListValue": {"type": "array"},
    "google.protobuf.Value": {},
}
_EXTREMES: Final = {"minimum": -(2**31), "maximum": 2**31 - 1}


class Schemas:
    """The schemas of a document, gathered as they are referred to.

    What is read and what is written differ: read objects have no other fields and require what the
    rules require; written ones may get more fields, and always have those without presence. A
    message used both ways has two schemas, the read one with `Input` at the end of its name.
    """

    def __init__(self, requests: Iterable[Descriptor], answers: Iterable[Descriptor]) -> None:
        self.components: dict[str, Schema] = {}
        self._read = _reachable(requests)
        self._written = _reachable(answers)
        self._names = _names({*self._read, *self._written})

    def of_answer(self, descriptor: Descriptor) -> Schema:
        """Answer the schema of a message that is written."""
        return self._message(descriptor, read=False)

    def body(self, descriptor: Descriptor, in_path: Iterable[str]) -> Schema:
        """Answer the schema of a request's body: all its fields but those of the path."""
        fields = [field for field in descriptor.fields if field.json_name not in in_path]
        name = self._names[descriptor.full_name]
        self.components[name] = self._object(descriptor, fields, read=True)
        return _reference(name)

    def of_parameter(self, field: FieldDescriptor) -> Schema:
        """Answer the schema of a field as text in a path or a query."""
        if field.message_type is not None and field.message_type.full_name == DATE:
            return {"type": "string", "format": "date"}
        return self._field(field, read=True)

    def _message(self, descriptor: Descriptor, *, read: bool) -> Schema:
        if descriptor.full_name in _WELL_KNOWN:
            return dict(_WELL_KNOWN[descriptor.full_name])
        if descriptor.file.name == "google/protobuf/wrappers.proto":
            return dict(_SCALARS[descriptor.fields_by_name["value"].type])
        both = descriptor.full_name in self._read and descriptor.full_name in self._written
        name = self._names[descriptor.full_name] + ("Input" if read and both else "")
        if name not in self.components:
            self.components[name] = {}  # found by a type that contains itself
            self.components[name] = self._object(descriptor, descriptor.fields, read=read)
        return _reference(name)

    def _object(
        self, descriptor: Descriptor, fields: Iterable[FieldDescriptor], *, read: bool
    ) -> Schema:
        fields = [*fields]
        needed = rules.required(descriptor) if read else _always_written(fields)
        schema: Schema = {
            "type": "object",
            "properties": {field.json_name: self._described(field, read=read) for field in fields},
        }
        required = [field.json_name for field in fields if field.name in needed]
        if required:
            schema["required"] = required
        if read:
            schema["additionalProperties"] = False
        said = [comment(descriptor.full_name), *_exclusions(fields)]
        if read:
            said += [
                f"{sentence[0].upper()}{sentence[1:]}." for sentence in rules.sentences(descriptor)
            ]
        return _with_description(schema, " ".join(filter(None, said)))

    def _described(self, field: FieldDescriptor, *, read: bool) -> Schema:
        text = comment(field.full_name)
        schema = _with_description(self._field(field, read=read), text)
        example = _EXAMPLE.search(text)
        if example and schema.get("type") == "string" and "enum" not in schema:
            schema["examples"] = [example[1]]
        return schema

    def _field(self, field: FieldDescriptor, *, read: bool) -> Schema:
        held = rules.rules_of(field)
        if not field.is_repeated:
            return self._element(field, held, read=read)
        entry = field.message_type
        if entry is not None and entry.GetOptions().map_entry:
            item = self._element(entry.fields_by_name["value"], held.map.values, read=read)
            schema: Schema = {"type": "object", "additionalProperties": item}
            return rules.restrict_map(schema, held) if read else schema
        item = self._element(field, held.repeated.items, read=read)
        schema = {"type": "array", "items": item}
        return rules.restrict_list(schema, held) if read else schema

    def _element(self, field: FieldDescriptor, held: Any, *, read: bool) -> Schema:
        if field.message_type is not None:
            return self._message(field.message_type, read=read)
        if field.enum_type is not None:
            schema = self._enum(field.enum_type)
        else:
            schema = dict(_SCALARS[field.type])
            if read and schema == _INT32:
                schema |= _EXTREMES
        return rules.restrict(schema, field, held) if read else schema

    def _enum(self, descriptor: EnumDescriptor) -> Schema:
        name = _short(descriptor.full_name)
        if name not in self.components:
            values = [f"- `{value.name}`: {_value_comment(value)}" for value in descriptor.values]
            said = "\n".join([comment(descriptor.full_name), "", *values])
            names = [value.name for value in descriptor.values]
            self.components[name] = {"type": "string", "description": said, "enum": names}
        return _reference(name)


def _value_comment(value: Any) -> str:
    """Answer the comment on an enum's value; the contract's own scope for it is the enum."""
    return comment(f"{value.type.full_name}.{value.name}")


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _with_description(schema: Schema, text: str) -> Schema:
    return schema | {"description": text} if text else schema


def _always_written(fields: Iterable[FieldDescriptor]) -> set[str]:
    return {field.name for field in fields if not field.has_presence}


def _exclusions(fields: Iterable[FieldDescriptor]) -> list[str]:
    """Say which fields exclude one another."""
    groups: dict[str, list[str]] = {}
    for field in fields:
        oneof = field.containing_oneof
        if oneof is not None and len(oneof.fields) > 1:
            groups.setdefault(oneof.name, []).append(f"`{field.json_name}`")
    return [f"At most one of {', '.join(group)}." for group in groups.values()]


def _reachable(roots: Iterable[Descriptor]) -> dict[str, Descriptor]:
    found: dict[str, Descriptor] = {}
    waiting = [*roots]
    while waiting:
        descriptor = waiting.pop()
        if descriptor.full_name not in found:
            found[descriptor.full_name] = descriptor
            waiting += [f.message_type for f in descriptor.fields if f.message_type is not None]
    return found


def _short(full_name: str) -> str:
    """Answer a name without its package: `Outer.Inner` is `OuterInner`."""
    return "".join(part for part in full_name.split(".") if part[0].isupper())


def _names(full_names: Iterable[str]) -> dict[str, str]:
    """Answer a short name for each message; two domains with one name are an error at start."""
    names = {full_name: _short(full_name) for full_name in full_names}
    if len({*names.values()}) < len(names):
        raise ValueError("two messages of the REST contract have the same name")
    return names
