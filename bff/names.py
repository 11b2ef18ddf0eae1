"""The two spellings of a field: `end_time` in the contract, `endTime` in JSON."""

import re

_AFTER_UNDERSCORE = re.compile(r"_([a-z0-9])")
_PROTO_NAME = re.compile(r"\b[a-z][a-z0-9]*(?:_[a-z0-9]+)+\b")
_CAPITAL = re.compile(r"[A-Z]")


def camel(path: str) -> str:
    """Turn proto names into JSON names: `rules[3].end_time` → `rules[3].endTime`."""
    return _AFTER_UNDERSCORE.sub(lambda found: found[1].upper(), path)


def camel_within(sentence: str) -> str:
    """Turn the proto names in a sentence into JSON names: `goes with new_clinic only`."""
    return _PROTO_NAME.sub(lambda found: camel(found[0]), sentence)


def snake(path: str) -> str:
    """Turn JSON names into proto names: `endTime` → `end_time`."""
    return _CAPITAL.sub(lambda found: f"_{found[0].lower()}", path)
