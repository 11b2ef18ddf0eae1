"""The HTTP protocol with the bounds that uvicorn's own lacks: of a head, and of silent clients."""

import asyncio
from collections.abc import Iterator
from typing import Any, Final

import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from bff.problem import Problem

LONGEST_HEAD: Final = 64 * 1024


class BoundedHttp(HttpToolsProtocol):
    """Closes connections whose request line and headers are endless, or do not come to an end.

    When there are too many, one on which nothing is under way makes room for the newest: who holds
    connections and says nothing keeps nobody else out.
    """

    head_seconds = 10.0
    most_connections = 2000

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._head_bytes = 0
        self._waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()
        if len(self.connections) > self.most_connections:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._waiting is None:
            return
        self._head_bytes += len(data)
        if self._head_bytes > LONGEST_HEAD:
            self._refuse(431, "TOO_LARGE", "The request's headers are too long.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        self._end_head()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP with a problem like any other."""
        self._refuse(400, "MALFORMED", msg)

    def _make_room(self) -> None:
        idle = (other for other in self._others() if other.is_idle)
        spare = next(idle, None)
        if spare is None:
            self._refuse(503, "UNAVAILABLE", "Too many requests run; come back later.")
        else:
            spare.transport.close()

    def _others(self) -> Iterator["BoundedHttp"]:
        for other in self.connections:
            if other is not self and isinstance(other, BoundedHttp):
                yield other

    @property
    def is_idle(self) -> bool:
        """True while no request is under way and the connection is not being closed."""
        began: object = self.cycle  # None before the first request, which uvicorn's types leave out
        served = began is None or self.cycle.response_complete
        return served and not self.transport.is_closing()

    def _await_head(self) -> None:
        self._end_head()
        self._head_bytes = 0
        self._waiting = self.loop.call_later(self.head_seconds, self._late)

    def _end_head(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _late(self) -> None:
        self._refuse(408, "DEADLINE_EXCEEDED", "The request did not come in time.")

    def _refuse(self, status: int, reason: str, detail: str) -> None:
        self._end_head()
        if self.transport.is_closing():
            return
        body = orjson.dumps(Problem(status, reason, detail).document(""))
        head = (
            b"content-type: application/problem+json\r\ncontent-length: %d\r\n"
            b"cache-control: no-store\r\nconnection: close\r\n\r\n" % len(body)
        )
        self.transport.write(STATUS_LINE[status] + head + body)
        self.transport.close()
