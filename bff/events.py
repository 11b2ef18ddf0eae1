"""A line of the route table whose RPC streams: HTTP request → RPC → server-sent events.

Each message is one event, `data: {…}`. What goes wrong before the first one is answered like any
other failure; later it is an event of the type `problem`, the last one. A comment goes out while
there is nothing to say, so that nobody between takes the connection for dead.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

import grpc
import orjson
from google.protobuf.message import Message
from starlette.types import Receive, Scope, Send

from bff.body import ClientGone
from bff.operation import Operation, Watch
from bff.problem import of_rpc
from bff.visit import visit_of

HEARTBEAT: Final = 15.0  # seconds; proxies give up after thirty or sixty
MEDIA_TYPE: Final = "text/event-stream"
DESCRIPTION: Final = (
    "Server-sent events: the `data` of each is a message as JSON. The first one is the whole state,"
    " on a connection that begins again, too: events have no ids, and `Last-Event-ID` is not read."
    " An event of the type `problem` is the last one; its data is a problem document. While nothing"
    " happens a comment comes every 15 seconds."
)
_HEADERS: Final = [
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would collect events before it sends them
]
_END: Final[object] = grpc.aio.EOF  # type: ignore[attr-defined] # the published stubs lack it


class EventStream(Operation):
    """Answers the requests of one route with events, until client or server ends the stream."""

    media_type = MEDIA_TYPE
    pause = b":\n\n"

    def write_part(self, answer: Message) -> bytes:
        """Write a message of the stream."""
        return b"data: " + self._write(answer) + b"\n\n"

    def write_problem(self, document: dict[str, Any]) -> bytes:
        """Write what broke the stream off."""
        return b"event: problem\ndata: " + orjson.dumps(document) + b"\n\n"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        message, visit = self._request(scope, b""), visit_of(scope)
        call = self._call(message, metadata=visit.metadata())
        watch = Watch(call, receive)
        try:
            async with aclosing(self._events(call)) as events:
                first = await _first(events)
                headers = [(b"content-type", self.media_type.encode()), *_HEADERS]
                await send({"type": "http.response.start", "status": 200, "headers": headers})
                if scope["method"] != "HEAD":
                    await self._send_all(first, events, send, visit.request_id)
                await send({"type": "http.response.body", "body": b""})
        except asyncio.CancelledError:
            if not watch.client_left:
                raise
            raise ClientGone from None
        finally:
            watch.end()
            call.cancel()

    async def _events(self, call: Any) -> AsyncGenerator[bytes, None]:
        """Write each message of the call as an event, and a comment while there is none."""
        while True:
            reading = asyncio.ensure_future(call.read())
            try:
                while not (await asyncio.wait({reading}, timeout=HEARTBEAT))[0]:
                    yield self.pause
            finally:
                reading.cancel()
            answer = reading.result()
            if answer is _END:
                return
            yield self.write_part(answer)

    async def _send_all(
        self, first: bytes, events: AsyncGenerator[bytes, None], send: Send, request_id: str
    ) -> None:
        await _send(first, send)
        try:
            async for event in events:
                await _send(event, send)
        except grpc.aio.AioRpcError as error:
            await _send(self.write_problem(of_rpc(error).document(request_id)), send)


async def _first(events: AsyncGenerator[bytes, None]) -> bytes:
    try:
        return await anext(events, b"")
    except grpc.aio.AioRpcError as error:
        raise of_rpc(error) from None


async def _send(event: bytes, send: Send) -> None:
    await send({"type": "http.response.body", "body": event, "more_body": True})
