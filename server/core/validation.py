"""Turn the bytes of a request into a message that holds to the contract, or refuse them.

Nothing here repeats what the caller sent: a refusal names fields by their proto paths and rules by
the contract's own words.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

import protovalidate
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message

from buf.validate import validate_pb2
from carelane.common.v1 import rule_text_pb2
from server.core.errors import InvalidField, InvalidFields

MAX_FIELDS = 16
MAX_RULE = 200

_EMPTY = frozenset({"must be at least 1 characters", "must contain at least 1 item(s)"})
# What the validator says, and the same as one would say it.
_PLAINLY = (
    (re.compile(r"^value is required$"), "is required"),
    (re.compile(r"^value is empty, which is not"), "must be"),
    (re.compile(r"^repeated value must contain unique items$"), "must not repeat an item"),
    (
        re.compile(r"^must be greater than or equal to (\S+) and less than or equal to (\S+)$"),
        r"must be from \1 to \2",
    ),
    (re.compile(r"^must be greater than or equal to "), "must be at least "),
    (re.compile(r"^must be less than or equal to "), "must be at most "),
)

_validator = protovalidate.Validator()


def request_reader(message_class: type[Message]) -> Callable[[bytes], Message]:
    """Answer a function that parses and checks one kind of request.

    What can be known from the descriptor is found out here, once: a message without rules is never
    handed to the validator, and rules that cannot be compiled fail now, not in a call.
    """
    parse = message_class.FromString
    ruled = _has_rules(cast(Descriptor, message_class.DESCRIPTOR))
    if ruled:
        _violations(message_class())

    def read(raw: bytes) -> Message:
        message = _parsed(parse, raw)
        if b"\0" in raw:
            _refuse_nul(message)
        if ruled and (violations := _violations(message)):
            raise InvalidFields(fields=violations)
        return message

    return read


def _violations(message: Message) -> list[tuple[str, str]]:
    """List path and rule of each violation, in the contract's words."""
    try:
        found = _validator.collect_violations(message)
    except protovalidate.EvaluationError:
        return [("", "must have values that the rules can be computed with")]
    descriptor = cast(Descriptor, message.DESCRIPTOR)
    return [_said(descriptor, violation.proto) for violation in found[:MAX_FIELDS]]


def _parsed(parse: Callable[[bytes], Message], raw: bytes) -> Message:
    try:
        message = parse(raw)
    except DecodeError:
        raise InvalidField("", "must be a message of the contract") from None
    size = message.ByteSize()
    message.DiscardUnknownFields()
    if message.ByteSize() != size:
        raise InvalidField("", "must have only fields that the contract knows")
    return message


def _refuse_nul(message: Message) -> None:
    for path in _texts_with_nul(message, ""):
        raise InvalidField(path, "must not contain a NUL character")


def _texts_with_nul(message: Message, prefix: str) -> Iterator[str]:
    for field, value in message.ListFields():
        for path, item in _items(field, value, prefix + field.name):
            if isinstance(item, Message):
                yield from _texts_with_nul(item, path + ".")
            elif isinstance(item, str) and "\0" in item:
                yield path


def _items(field: FieldDescriptor, value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if not field.is_repeated:
        yield path, value
    elif field.message_type is not None and field.message_type.GetOptions().map_entry:
        for key, item in value.items():
            yield path, key
            yield path, item
    else:
        for index, item in enumerate(value):
            yield f"{path}[{index}]", item


def _has_rules(descriptor: Descriptor, seen: set[str] | None = None) -> bool:
    seen = set() if seen is None else seen
    if descriptor.full_name in seen:
        return False
    seen.add(descriptor.full_name)
    if descriptor.GetOptions().HasExtension(validate_pb2.message):
        return True
    if any(one.GetOptions().HasExtension(validate_pb2.oneof) for one in descriptor.oneofs):
        return True
    return any(
        field.GetOptions().HasExtension(validate_pb2.field)
        or (field.message_type is not None and _has_rules(field.message_type, seen))
        for field in descriptor.fields
    )


def _said(descriptor: Descriptor, violation: Any) -> tuple[str, str]:
    elements = violation.field.elements if violation.field else ()
    rule = _worded(descriptor, elements, violation) or violation.message or "must be valid"
    return _path(elements), _within(rule, MAX_RULE)


def _within(rule: str, most: int) -> str:
    """Shorten a rule to whole words, since half a name would be another one."""
    return rule if len(rule) <= most else f"{rule[: most - 1].rpartition(' ')[0]} …"


def _worded(descriptor: Descriptor, elements: Iterable[Any], violation: Any) -> str:
    """Say in words what the validator says in regexes, numbers and for fields alone."""
    field = _field_at(descriptor, elements)
    if field is None:
        return ""
    if violation.rule_id == "string.pattern":
        return str(field.GetOptions().Extensions[rule_text_pb2.rule_text])
    if violation.rule_id.startswith("enum.") and field.enum_type is not None:
        return f"must be one of {', '.join(_allowed(field, field.enum_type))}"
    if violation.message in _EMPTY:
        return "must not be empty"
    return _plain(violation.message)


def _plain(said: str) -> str:
    for pattern, words in _PLAINLY:
        said = pattern.sub(words, said)
    return said


def _field_at(descriptor: Descriptor | None, elements: Iterable[Any]) -> FieldDescriptor | None:
    field = None
    for element in elements:
        if descriptor is None:
            return None
        field = descriptor.fields_by_name.get(element.field_name)
        descriptor = field.message_type if field else None
    return field


def _allowed(field: FieldDescriptor, enum: EnumDescriptor) -> Iterator[str]:
    rules = field.GetOptions().Extensions[validate_pb2.field]
    rule = (rules.repeated.items if field.is_repeated else rules).enum
    wanted = getattr(rule, "in") or [value.number for value in enum.values]
    for value in enum.values:
        if value.number in wanted and value.number not in rule.not_in:
            yield value.name


def _path(elements: Iterable[Any]) -> str:
    """Write a field path; the key of a map stands as [], since the caller chose it."""
    parts = []
    for element in elements:
        subscript = element.subscript
        if subscript is None:
            parts.append(element.field_name)
        elif subscript.field == "index":
            parts.append(f"{element.field_name}[{subscript.value}]")
        else:
            parts.append(f"{element.field_name}[]")
    return ".".join(parts)
