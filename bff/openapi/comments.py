"""What the contract's comments say, read from the image that is written when code is generated.

The generated Python has descriptors but no comments; `carelane/contract.binpb` has both.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from bff.names import camel

_PARAGRAPH: Final = re.compile(r"\n\s*\n")
_STARRED: Final = re.compile(r"^ *[*-] +", re.MULTILINE)
_INDENTED: Final = re.compile(r"^ {3,}", re.MULTILINE)
_LINK: Final = re.compile(r"\[([\w.]+)\]\[\1\]")  # to a type, as Google's comments write it
_PROTO_NAME: Final = re.compile(r"\b[a-z][a-z0-9]*(?:_[a-z0-9]+)+\b")

# Numbers of repeated fields in descriptor.proto, by which source paths name what a comment is on.
_IN_FILE: Final = {4: "message_type", 5: "enum_type", 6: "service"}
_IN_MESSAGE: Final = {2: "field", 3: "nested_type", 4: "enum_type", 8: "oneof_decl"}
_IN_ENUM: Final = {2: "value"}
_IN_SERVICE: Final = {2: "method"}


@cache
def comments() -> Mapping[str, str]:
    """Answer all comments by full name; an enum's value is `package.Enum.VALUE`.

    Each is Markdown: paragraphs with an empty line between. Fields are named as in JSON.
    """
    image = FileDescriptorSet.FromString(files("carelane").joinpath("contract.binpb").read_bytes())
    raw = {name: text for file in image.file for name, text in _comments_of(file)}
    fields = {name for file in image.file for name in _field_names(file.message_type)}
    return {name: _markdown(text, fields) for name, text in raw.items()}


def _comments_of(file: FileDescriptorProto) -> Iterator[tuple[str, str]]:
    for location in file.source_code_info.location:
        if location.leading_comments and len(location.path) % 2 == 0:
            name = _name_at(file, location.path)
            if name:
                yield name, location.leading_comments


def _name_at(file: FileDescriptorProto, path: Any) -> str:
    """Answer the full name of what stands at a source path; "" for what has none."""
    thing: Any = file
    names = [file.package]
    kinds: Mapping[int, str] = _IN_FILE
    for number, index in zip(path[::2], path[1::2], strict=True):
        if number not in kinds:
            return ""
        kind = kinds[number]
        thing = getattr(thing, kind)[index]
        names.append(thing.name)
        kinds = {
            "message_type": _IN_MESSAGE,
            "nested_type": _IN_MESSAGE,
            "enum_type": _IN_ENUM,
            "service": _IN_SERVICE,
        }.get(kind, {})
    return ".".join(names)


def _field_names(messages: Any) -> Iterator[str]:
    for message in messages:
        yield from (field.name for field in message.field)
        yield from _field_names(message.nested_type)


def _markdown(text: str, fields: set[str]) -> str:
    paragraphs = "\n\n".join(map(_joined, _PARAGRAPH.split(text.strip())))
    return _PROTO_NAME.sub(
        lambda found: camel(found[0]) if found[0] in fields else found[0],
        _LINK.sub(r"`\1`", paragraphs),
    )


def _joined(paragraph: str) -> str:
    """Join the lines of a paragraph; those with a star, else the indented ones, become a list."""
    item = _STARRED if _STARRED.search(paragraph) else _INDENTED
    head, *items = (" ".join(part.split()) for part in item.sub("\0", paragraph).split("\0"))
    return "\n".join([head] * bool(head) + [f"- {text}" for text in items])


def comment(full_name: str) -> str:
    """Answer the comment on a message, field, enum, value, service or RPC; "" without one."""
    return comments().get(full_name, "")
