"""The conversion between messages and JSON is held equal to google.protobuf.json_format."""

import base64
import math
import os
from typing import Any

import orjson
import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st

from bff.from_json import filler
from bff.problem import Invalid
from bff.to_json import converter

KINDS = ["Scalars", "Optionals", "Lists", "Maps", "Choice", "Tree", "WellKnown"]
COUNT = 600 if os.environ.get("CARELANE_TEST_COUNTS") == "deep" else 40
F = FieldDescriptor
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
INTEGERS = {
    **dict.fromkeys(
        [F.TYPE_INT32, F.TYPE_SINT32, F.TYPE_SFIXED32], st.integers(-(2**31), 2**31 - 1)
    ),
    **dict.fromkeys([F.TYPE_UINT32, F.TYPE_FIXED32], st.integers(0, 2**32 - 1)),
    **dict.fromkeys(
        [F.TYPE_INT64, F.TYPE_SINT64, F.TYPE_SFIXED64], st.integers(-(2**63), 2**63 - 1)
    ),
    **dict.fromkeys([F.TYPE_UINT64, F.TYPE_FIXED64], st.integers(0, 2**64 - 1)),
}
FINITE = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | FINITE | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
MASKS = st.lists(
    st.from_regex(r"[a-z]{1,5}(_[a-z]{1,4})?(\.[a-z]{1,3})?", fullmatch=True), max_size=3
)


def scalar(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    """Values of a scalar field."""
    if field.type in INTEGERS:
        return INTEGERS[field.type]
    if field.enum_type is not None:
        return st.sampled_from([value.number for value in field.enum_type.values])
    return {
        F.TYPE_DOUBLE: FINITE,
        F.TYPE_FLOAT: st.floats(-(2.0**127), 2.0**127, width=32),
        F.TYPE_BOOL: st.booleans(),
        F.TYPE_BYTES: st.binary(max_size=9),
    }.get(field.type, TEXT)


@st.composite
def messages(draw: st.DrawFn, kind: type[Message], depth: int = 3) -> Message:
    """Messages of a type with any of its fields set."""
    message = kind()
    fill(draw, message, depth)
    return message


def fill(draw: st.DrawFn, message: Any, depth: int) -> None:
    well_known = WELL_KNOWN.get(message.DESCRIPTOR.full_name)
    if well_known is not None:
        message.CopyFrom(json_format.ParseDict(draw(well_known), type(message)()))
        return
    for field in message.DESCRIPTOR.fields:
        if draw(st.booleans()):
            fill_field(draw, message, field, depth)


def fill_field(draw: st.DrawFn, message: Any, field: FieldDescriptor, depth: int) -> None:
    entry = field.message_type
    held = getattr(message, field.name)
    if entry is not None and depth == 0:
        return
    if entry is not None and entry.GetOptions().map_entry:
        fill_map(draw, held, entry, depth)
    elif field.is_repeated:
        fill_list(draw, held, field, depth)
    elif entry is not None:
        held.SetInParent()
        fill(draw, held, depth - 1)
    else:
        setattr(message, field.name, draw(scalar(field)))


def fill_map(draw: st.DrawFn, held: Any, entry: Descriptor, depth: int) -> None:
    key, value = entry.fields
    for item in draw(st.lists(scalar(key), max_size=2)):
        if value.message_type is not None:
            fill(draw, held[item], depth - 1)
        else:
            held[item] = draw(scalar(value))


def fill_list(draw: st.DrawFn, held: Any, field: FieldDescriptor, depth: int) -> None:
    for _ in range(draw(st.integers(0, 2))):
        if field.message_type is not None:
            fill(draw, held.add(), depth - 1)
        else:
            held.append(draw(scalar(field)))


SECONDS = st.integers(-62_135_596_800, 253_402_300_799)
NANOS = st.sampled_from([0, 1, 500_000_000, 120_000, 999_999_999, 123_456_789])


def as_time(seconds: int, nanos: int) -> str:
    return Timestamp(seconds=seconds, nanos=nanos).ToJsonString()


WELL_KNOWN: dict[str, st.SearchStrategy[Any]] = {
    "google.protobuf.Timestamp": st.builds(as_time, SECONDS, NANOS),
    "google.protobuf.Duration": st.builds(
        lambda seconds, nanos: f"{seconds}.{nanos:09d}s",
        st.integers(-315_575_999_999, 315_575_999_999),
        NANOS,
    ),
    "google.protobuf.FieldMask": MASKS.map(lambda paths: json_format.MessageToDict(_mask(paths))),
    "google.protobuf.Struct": st.dictionaries(TEXT, JSON, max_size=3),
    "google.protobuf.ListValue": st.lists(JSON, max_size=3),
    "google.protobuf.Value": JSON,
}


def _mask(paths: list[str]) -> Message:
    return FieldMask(paths=paths)


def reference(message: Message) -> Any:
    return json_format.MessageToDict(message, always_print_fields_with_no_presence=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_becomes_the_json_of_json_format(
    kind: str, kinds: dict[str, type[Message]]
) -> None:
    @settings(max_examples=COUNT, deadline=None)
    @given(messages(kinds[kind]))
    def check(message: Message) -> None:
        written = converter(message.DESCRIPTOR)(message)
        assert written == reference(message)
        assert orjson.loads(orjson.dumps(written)) == written

    check()


@pytest.mark.parametrize("kind", KINDS)
def test_written_json_is_read_back_as_the_same_message(
    kind: str, kinds: dict[str, type[Message]]
) -> None:
    @settings(max_examples=COUNT, deadline=None)
    @given(messages(kinds[kind]))
    def check(message: Message) -> None:
        written = converter(message.DESCRIPTOR)(message)
        read = kinds[kind]()
        filler(message.DESCRIPTOR)(read, orjson.loads(orjson.dumps(written)))
        assert read == json_format.ParseDict(written, kinds[kind]())
        assert converter(message.DESCRIPTOR)(read) == written

    check()


def objects(descriptor: Descriptor) -> st.SearchStrategy[dict[str, Any]]:
    """Objects that nearly fit a message: its names, with values that may not belong there."""
    value = st.one_of(
        JSON,
        st.integers(-(2**65), 2**65),
        st.sampled_from([math.nan, math.inf, 1e308, 3.5e38, 1.0, "٣"]),
        st.sampled_from(
            [
                "1",
                "-1",
                "1.5",
                "1e3",
                "true",
                "NaN",
                "Infinity",
                "QQ==",
                "Q",
                "COLOUR_RED",
                "RED",
                "1s",
                "-0.5s",
                "aB,c",
            ]
        ),
        st.sampled_from(
            ["2030-01-31T09:00:00Z", "2030-02-31T09:00:00Z", "0001-01-01T00:00:00+01:00", "a_b"]
        ),
        st.lists(st.integers(-5, 5) | TEXT | st.none(), max_size=2),
    )
    names = [field.json_name for field in descriptor.fields]
    return st.dictionaries(st.sampled_from(names), value, max_size=3)


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_is_read_json_format_reads_alike(
    kind: str, kinds: dict[str, type[Message]]
) -> None:
    read_any = False

    @settings(max_examples=COUNT * 5, deadline=None)
    @given(objects(kinds[kind].DESCRIPTOR))
    def check(value: dict[str, Any]) -> None:
        nonlocal read_any
        message = kinds[kind]()
        try:
            filler(message.DESCRIPTOR)(message, value)
        except Invalid:
            return
        read_any = read_any or bool(value)
        assert message == json_format.ParseDict(value, kinds[kind]())

    check()
    assert read_any


def test_floats_that_are_no_numbers_are_written_as_words(kinds: dict[str, type[Message]]) -> None:
    message = kinds["Lists"](doubles=[math.inf, -math.inf, math.nan], floats=[math.inf, 0.1])
    written = converter(message.DESCRIPTOR)(message)
    assert written["doubles"] == ["Infinity", "-Infinity", "NaN"]
    assert written["floats"] == ["Infinity", 0.1]


def test_an_unknown_enum_number_stays_a_number(kinds: dict[str, type[Message]]) -> None:
    message = kinds["Scalars"](colour=99)
    assert converter(message.DESCRIPTOR)(message)["colour"] == 99


def faults_of(kind: type[Message], value: Any) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as caught:
        filler(kind.DESCRIPTOR)(kind(), value)
    return [tuple(fault) for fault in caught.value.faults]


WRONG: list[tuple[str, Any, str]] = [
    ("Scalars", {"anInt32": 2**31}, "anInt32"),
    ("Scalars", {"anInt32": "5"}, "anInt32"),
    ("Scalars", {"anInt32": 1.5}, "anInt32"),
    ("Scalars", {"anInt32": True}, "anInt32"),
    ("Scalars", {"aUint32": -1}, "aUint32"),
    ("Scalars", {"anInt64": 2**63}, "anInt64"),
    ("Scalars", {"anInt64": "9" * 19 + "9"}, "anInt64"),
    ("Scalars", {"anInt64": " 1"}, "anInt64"),
    ("Scalars", {"anInt64": "1e3"}, "anInt64"),
    ("Scalars", {"anInt64": "٣"}, "anInt64"),
    ("Scalars", {"aUint64": 2**64}, "aUint64"),
    ("Scalars", {"aDouble": "1.5"}, "aDouble"),
    ("Scalars", {"aDouble": math.nan}, "aDouble"),
    ("Scalars", {"aDouble": -math.inf}, "aDouble"),
    ("Scalars", {"aDouble": 10**400}, "aDouble"),
    ("Scalars", {"aFloat": 1e39}, "aFloat"),
    ("Scalars", {"aBool": 1}, "aBool"),
    ("Scalars", {"aBool": "true"}, "aBool"),
    ("Scalars", {"aString": 1}, "aString"),
    ("Scalars", {"aString": "a\0b"}, "aString"),
    ("Scalars", {"aString": "\ud800"}, "aString"),
    ("Scalars", {"aString": ["a"]}, "aString"),
    ("Scalars", {"someBytes": "Q"}, "someBytes"),
    ("Scalars", {"someBytes": "Q\u00e9=="}, "someBytes"),
    ("Scalars", {"someBytes": "QUI=="}, "someBytes"),
    ("Scalars", {"colour": "RED"}, "colour"),
    ("Scalars", {"colour": 1}, "colour"),
    ("Scalars", {"colour": ["COLOUR_RED"]}, "colour"),
    ("Scalars", [], ""),
    ("Scalars", "text", ""),
    ("Scalars", None, ""),
    ("Scalars", {"a_string": "proto name"}, ""),
    ("Lists", {"strings": "a"}, "strings"),
    ("Lists", {"strings": ["a", None]}, "strings[1]"),
    ("Lists", {"messages": [{}, {"anInt32": "x"}]}, "messages[1].anInt32"),
    ("Lists", {"messages": {"0": {}}}, "messages"),
    ("Lists", {"times": ["2030-01-31"]}, "times[0]"),
    ("Maps", {"texts": []}, "texts"),
    ("Maps", {"texts": {"a": None}}, "texts"),
    ("Maps", {"texts": {"\0": "a"}}, "texts"),
    ("Maps", {"colours": {"x": "COLOUR_RED"}}, "colours"),
    ("Maps", {"messages": {"True": {}}}, "messages"),
    ("Maps", {"messages": {"true": {"anInt32": ""}}}, "messages.anInt32"),
    ("Choice", {"text": "a", "number": 1}, "number"),
    ("Choice", {"scalars": {}, "time": "2030-01-31T09:00:00Z"}, "time"),
    ("Tree", {"parent": {"children": [{"name": 1}]}}, "parent.children[0].name"),
    ("WellKnown", {"startTime": "2030-01-31T09:00:00"}, "startTime"),
    ("WellKnown", {"startTime": "2030-01-31 09:00:00Z"}, "startTime"),
    ("WellKnown", {"startTime": "2030-02-30T09:00:00Z"}, "startTime"),
    ("WellKnown", {"startTime": "2030-01-31T24:00:00Z"}, "startTime"),
    ("WellKnown", {"startTime": "2030-01-31T09:00:60Z"}, "startTime"),
    ("WellKnown", {"startTime": "2030-01-31T09:00:00+25:00"}, "startTime"),
    ("WellKnown", {"startTime": "0000-01-01T00:00:00Z"}, "startTime"),
    ("WellKnown", {"startTime": "0001-01-01T00:00:00+01:00"}, "startTime"),
    ("WellKnown", {"startTime": "9999-12-31T23:59:59-01:00"}, "startTime"),
    ("WellKnown", {"startTime": "10000-01-01T00:00:00Z"}, "startTime"),
    ("WellKnown", {"startTime": "\uff12030-01-31T09:00:00Z"}, "startTime"),
    ("WellKnown", {"startTime": 1893488400}, "startTime"),
    ("WellKnown", {"length": "1"}, "length"),
    ("WellKnown", {"length": "315576000001s"}, "length"),
    ("WellKnown", {"length": "1.s"}, "length"),
    ("WellKnown", {"length": 60}, "length"),
    ("WellKnown", {"updateMask": "full_name"}, "updateMask"),
    ("WellKnown", {"updateMask": ["fullName"]}, "updateMask"),
    ("WellKnown", {"updateMask": "a,,b"}, "updateMask"),
    ("WellKnown", {"anything": []}, "anything"),
    ("WellKnown", {"anything": {"a": math.inf}}, "anything"),
    ("WellKnown", {"anything": {"a": ["\0"]}}, "anything"),
    ("WellKnown", {"value": 10**400}, "value"),
    ("WellKnown", {"list": {}}, "list"),
    ("WellKnown", {"text": {"value": "a"}}, "text"),
    ("WellKnown", {"number": "x"}, "number"),
    ("WellKnown", {"nothing": 0}, "nothing"),
    ("WellKnown", {"day": "2030-01-31"}, "day"),
    ("WellKnown", {"fee": {"units": 1.5}}, "fee.units"),
]


@pytest.mark.parametrize(("kind", "value", "path"), WRONG)
def test_json_that_does_not_fit_is_refused_by_its_path(
    kind: str, value: Any, path: str, kinds: dict[str, type[Message]]
) -> None:
    assert [field for field, _ in faults_of(kinds[kind], value)] == [path]


def test_all_faults_of_a_body_are_named_at_once(kinds: dict[str, type[Message]]) -> None:
    body = {"aBool": 1, "aString": 2, "more": 3, "anInt32": 4}
    assert [field for field, _ in faults_of(kinds["Scalars"], body)] == ["aBool", "aString", ""]


def test_an_unknown_field_is_answered_with_the_allowed_ones(
    kinds: dict[str, type[Message]],
) -> None:
    [(path, rule)] = faults_of(kinds["Tree"], {"parent": {"secret-token": 1}})
    assert path == "parent"
    assert rule == "has an unknown field; allowed are: children, name, parent"


def test_null_is_absent_but_a_value_of_its_own_where_null_is_a_value(
    kinds: dict[str, type[Message]],
) -> None:
    message: Any = kinds["WellKnown"]()
    filler(message.DESCRIPTOR)(message, {"text": None, "startTime": None, "value": None})
    assert message.HasField("value")
    assert not message.HasField("text")
    assert not message.HasField("start_time")


def test_a_64_bit_integer_may_be_text_or_number(kinds: dict[str, type[Message]]) -> None:
    for written in ("9007199254740993", 9007199254740993):
        message: Any = kinds["Scalars"]()
        filler(message.DESCRIPTOR)(message, {"anInt64": written})
        assert message.an_int64 == 9007199254740993


def test_bytes_are_read_from_either_alphabet_of_base64(kinds: dict[str, type[Message]]) -> None:
    content = bytes(range(250, 256))
    for written in (base64.b64encode(content), base64.urlsafe_b64encode(content).rstrip(b"=")):
        message: Any = kinds["Scalars"]()
        filler(message.DESCRIPTOR)(message, {"someBytes": written.decode()})
        assert message.some_bytes == content
