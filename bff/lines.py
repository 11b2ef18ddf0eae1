"""A line of the route table whose RPC streams a long list: each element is a line of JSON.

The messages of the stream have one field, which is repeated: how its elements are distributed over
messages is the server's affair. What goes wrong after the first is a last line, `{"problem": …}`.
"""

from dataclasses import replace
from typing import Any, Final

import orjson
from google.protobuf.message import Message

from bff.events import EventStream
from bff.operation import Stubs, rpc_of
from bff.route import Route
from bff.to_json import converter

MEDIA_TYPE: Final = "application/x-ndjson"


class LineStream(EventStream):
    """Answers the requests of one route with lines."""

    media_type = MEDIA_TYPE
    pause = b""

    def __init__(self, route: Route, stub: Stubs, timeout: float) -> None:
        super().__init__(replace(route, text=""), stub, timeout)
        (field,) = rpc_of(route).output_type.fields
        if field.message_type is None:
            raise TypeError(f"{route.rpc} does not stream messages in a list")
        self._elements, self._to_json = field.name, converter(field.message_type)

    def write_part(self, answer: Message) -> bytes:
        """Write the elements of a message."""
        elements = getattr(answer, self._elements)
        return b"".join(orjson.dumps(self._to_json(each)) + b"\n" for each in elements)

    def write_problem(self, document: dict[str, Any]) -> bytes:
        """Write what broke the stream off."""
        return orjson.dumps({"problem": document}) + b"\n"
