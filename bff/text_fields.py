"""Fields of a message that a path or a query can carry, as text.

Names are those of JSON, nested ones joined by dots (`near.latitude`); a list is a repeated
parameter; enums are full names; a google.type.Date is written as 2030-01-31. Maps and lists of
messages have no place in a query.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from functools import cache
from typing import Any, Final
from urllib.parse import parse_qsl

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from bff.from_json import assigner
from bff.problem import Fault, Invalid
from bff.scalars import text_bool
from bff.to_json import type_of

Take = Callable[[Any, Sequence[str]], None]  # (message, the texts given under one name)

DATE: Final = "google.type.Date"
_AS_TEXT: Final = {
    "google.protobuf.Timestamp",
    "google.protobuf.Duration",
    "google.protobuf.FieldMask",
    "google.protobuf.StringValue",
    "google.protobuf.BytesValue",
    "google.protobuf.Int64Value",
    "google.protobuf.UInt64Value",
}
_NUMBER: Final = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NUMBERS: Final = {
    type_of.TYPE_DOUBLE,
    type_of.TYPE_FLOAT,
    type_of.TYPE_INT32,
    type_of.TYPE_SINT32,
    type_of.TYPE_UINT32,
    type_of.TYPE_FIXED32,
    type_of.TYPE_SFIXED32,
}
_MOST_PARAMETERS: Final = 200


Path = tuple[FieldDescriptor, ...]  # message fields down to the one that is meant


def leaves(descriptor: Descriptor, above: Path = ()) -> Iterator[Path]:
    """List the fields that text can carry, each with the fields on the way to it."""
    for field in descriptor.fields:
        inner = field.message_type
        if inner is None or inner.full_name in _AS_TEXT or inner.full_name == DATE:
            yield (*above, field)
        elif not field.is_repeated and not _has_no_parts(inner):
            yield from leaves(inner, (*above, field))


def name_of(path: Path) -> str:
    """Answer the dotted JSON name of a field."""
    return ".".join(field.json_name for field in path)


def _has_no_parts(descriptor: Descriptor) -> bool:
    """Answer whether a message is free-form, or contains itself, so that dots never end."""
    return descriptor.full_name.startswith("google.protobuf.") or any(
        field.message_type is descriptor for field in descriptor.fields
    )


@cache
def takers(descriptor: Descriptor) -> Mapping[str, Take]:
    """Answer, by dotted name, the functions that set the fields that text can carry."""
    return {name_of(path): _taker(path) for path in leaves(descriptor)}


def _taker(path: Path) -> Take:
    *above, field = path
    owners = [owner.name for owner in above]
    assign = assigner(field)
    value = _value_of_text(field)

    def take(message: Message, texts: Sequence[str]) -> None:
        if not field.is_repeated and len(texts) > 1:
            raise Invalid("must be given once")
        target: Any = message
        for owner in owners:
            target = getattr(target, owner)
        assign(target, [*map(value, texts)] if field.is_repeated else value(texts[0]))

    return take


def _value_of_text(field: FieldDescriptor) -> Callable[[str], Any]:
    """Answer the function that turns text into the JSON value it stands for."""
    if field.message_type is not None:
        return _day if field.message_type.full_name == DATE else _same
    if field.type in _NUMBERS:
        return _number
    return text_bool if field.type == type_of.TYPE_BOOL else _same


def _same(text: str) -> str:
    return text


def _number(text: str) -> float | int:
    if not _NUMBER.fullmatch(text):
        raise Invalid("must be a number")
    return int(text) if text.lstrip("-").isdigit() else float(text)


def _day(text: str) -> dict[str, int]:
    try:
        day = date.fromisoformat(text if _DAY.fullmatch(text) else "")
    except ValueError:
        raise Invalid("must be a date such as 2030-01-31") from None
    return {"year": day.year, "month": day.month, "day": day.day}


def texts_of_query(query: bytes) -> dict[str, list[str]]:
    """Read a query string; raise Invalid when it is not percent-encoded UTF-8."""
    texts: dict[str, list[str]] = {}
    if not query:
        return texts
    try:
        pairs = parse_qsl(
            query.decode("ascii"), True, errors="strict", max_num_fields=_MOST_PARAMETERS
        )
    except ValueError:
        raise Invalid("must be a percent-encoded query of at most 200 parameters") from None
    for name, text in pairs:
        texts.setdefault(name, []).append(text)
    return texts


def take_all(message: Message, takes: dict[str, Take], texts: dict[str, list[str]]) -> None:
    """Set the fields that are given, or raise Invalid with all their faults."""
    faults: list[Fault] = []
    if not texts.keys() <= takes.keys():
        allowed = ", ".join(sorted(takes)) or "none"
        faults.append(Fault("", f"has an unknown parameter; allowed are: {allowed}"))
    for name, given in texts.items():
        try:
            if name in takes:
                takes[name](message, given)
        except Invalid as invalid:
            faults += invalid.under(name)
    if faults:
        raise Invalid(faults=faults)
