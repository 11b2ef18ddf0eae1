"""The body of a request as a JSON value, read so strictly that nothing in it has two meanings."""

import asyncio
import json
from typing import Any, Final

from starlette.types import Receive

from bff.problem import Problem

DEEPEST: Final = 32
SLOWEST: Final = 20.0


class ClientGone(Exception):
    """The client closed the connection before its request was complete."""


async def received(receive: Receive) -> bytes:
    """Answer the whole body, which has SLOWEST seconds; the middleware in front bounds its size."""
    try:
        async with asyncio.timeout(SLOWEST):
            return await _received(receive)
    except TimeoutError:
        raise Problem(408, "DEADLINE_EXCEEDED", "The body did not come in time.") from None


async def _received(receive: Receive) -> bytes:
    chunks = []
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise ClientGone
        chunks.append(event.get("body", b""))
        if not event.get("more_body"):
            return b"".join(chunks) if len(chunks) > 1 else bytes(chunks[0])


def decoded(raw: bytes) -> Any:
    """Parse JSON; a repeated key, NaN or Infinity, deep nesting and wrong UTF-8 are refused."""
    try:
        value = _DECODER.decode(raw.decode())
    except (ValueError, RecursionError):
        raise Problem(400, "MALFORMED", "The body is not JSON.") from None
    if raw.count(b"{") + raw.count(b"[") > DEEPEST and _is_deeper(value, DEEPEST):
        raise Problem(400, "MALFORMED", f"The body is nested deeper than {DEEPEST} levels.")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key is repeated")
    return members


def _no_constant(_: str) -> None:
    raise ValueError("NaN and Infinity are not JSON")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_constant)


def _is_deeper(value: Any, levels: int) -> bool:
    level = [value]
    for _ in range(levels):
        containers = [item for item in level if isinstance(item, (dict, list))]
        level = [
            child
            for item in containers
            for child in (item.values() if isinstance(item, dict) else item)
        ]
    return any(isinstance(item, (dict, list)) for item in level)
