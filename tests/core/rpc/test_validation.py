"""Whatever arrives for any RPC of the contract is a message that holds to it, or is refused."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

import server.app  # noqa: F401 - loads the contract of every service
from server.core.errors import Error, InvalidFields
from server.core.validation import request_reader

ROUNDS = 60
INTEGERS = (0, 1, -1, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63), 253402300800, -62135596801)
TEXTS = ("", "a", "é" * 300, "\0", "+919876543210", "a@b.example", "2026-13-40", "';--", "\u202e")
FLOATS = (0.0, -0.0, 1e308, float("inf"), float("-inf"), float("nan"))


def _services() -> list[Any]:
    pool = descriptor_pool.Default()
    names = ("auth", "directory", "availability", "appointment", "admin", "notification")
    return [
        pool.FindServiceByName(f"carelane.{name}.v1.{name.capitalize()}Service") for name in names
    ]


REQUESTS = [method.input_type for service in _services() for method in service.methods]


def _fits(field: FieldDescriptor, number: int) -> bool:
    if field.cpp_type in {FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_ENUM}:
        return -(2**31) <= number < 2**31
    if field.cpp_type == FieldDescriptor.CPPTYPE_UINT32:
        return 0 <= number < 2**32
    return number >= 0 or field.cpp_type == FieldDescriptor.CPPTYPE_INT64


def _value(field: FieldDescriptor, dice: random.Random) -> Any:
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING:
            text = dice.choice(TEXTS)
            return text.encode() if field.type == FieldDescriptor.TYPE_BYTES else text
        case FieldDescriptor.CPPTYPE_BOOL:
            return dice.random() < 0.5
        case FieldDescriptor.CPPTYPE_DOUBLE | FieldDescriptor.CPPTYPE_FLOAT:
            return dice.choice(FLOATS)
    return dice.choice([number for number in INTEGERS if _fits(field, number)])


def _fill(message: Message, dice: random.Random, depth: int = 0) -> Message:
    for field in message.DESCRIPTOR.fields:
        if dice.random() < 0.3 or depth > 3:
            continue
        if field.message_type is None:
            if field.is_repeated:
                getattr(message, field.name).extend(_value(field, dice) for _ in range(2))
            else:
                setattr(message, field.name, _value(field, dice))
        elif not field.message_type.GetOptions().map_entry:
            part = getattr(message, field.name)
            _fill(part.add() if field.is_repeated else part, dice, depth + 1)
    return message


def test_a_rule_that_fails_by_itself_refuses_the_message(pb: Any) -> None:
    read = request_reader(pb.Shaky)
    assert read(pb.Shaky(share=4).SerializeToString()) == pb.Shaky(share=4)
    with pytest.raises(InvalidFields):
        read(b"")


def refusal(read: Callable[[bytes], Message], raw: bytes) -> Error | None:
    """Answer how `raw` is refused; any other exception fails the test."""
    try:
        read(raw)
    except Error as refused:
        return refused
    return None


@pytest.mark.parametrize("descriptor", REQUESTS, ids=lambda found: found.name)
def test_a_wild_message_is_read_or_refused(descriptor: Any) -> None:
    message_class = message_factory.GetMessageClass(descriptor)
    read = request_reader(message_class)
    dice = random.Random(descriptor.full_name)  # noqa: S311 - repeatable
    for _ in range(ROUNDS):
        raw = _fill(message_class(), dice).SerializeToString()
        broken = bytearray(raw or b"\0")
        broken[dice.randrange(len(broken))] ^= 1 << dice.randrange(8)
        for sent in (raw, bytes(broken), dice.randbytes(dice.randrange(40))):
            refused = refusal(read, sent)
            if refused:
                assert refused.code.name == "INVALID_ARGUMENT"
                assert refused.fields
