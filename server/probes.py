"""What orchestrators and Prometheus ask a server that has no other HTTP: alive, ready, numbers."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from server.app import App

PATIENCE = 5.0
MAX_HEADERS = 8 * 1024
TEXT = "text/plain; charset=utf-8"

Answer = tuple[HTTPStatus, str, bytes]


class Probes:
    """A little HTTP server of GET /healthz, /readyz and /metrics; one request a connection."""

    def __init__(self, app: App) -> None:
        self._health = app.health
        self._metrics = app.parts.metrics

    @asynccontextmanager
    async def listening(self, address: str) -> AsyncIterator[int | None]:
        """Serve on host:port while the block runs, and answer the port; on "" do nothing."""
        if not address:
            yield None
            return
        host, _, port = address.rpartition(":")
        server = await asyncio.start_server(
            self._serve, host.strip("[]"), int(port), limit=MAX_HEADERS
        )
        async with server:
            yield server.sockets[0].getsockname()[1]

    def answer(self, path: str) -> Answer:
        """Answer a path's status, type and body."""
        match path:
            case "/metrics":
                return HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(self._metrics)
            case "/healthz":
                return HTTPStatus.OK, TEXT, b"ok\n"
            case "/readyz" if self._health.ready:
                return HTTPStatus.OK, TEXT, b"ok\n"
            case "/readyz":
                return HTTPStatus.SERVICE_UNAVAILABLE, TEXT, b"not ready\n"
        return HTTPStatus.NOT_FOUND, TEXT, b"not found\n"

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(_response(*self._ask(head)))
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError, TimeoutError):
            return  # who asks badly or leaves is not answered
        finally:
            writer.close()

    def _ask(self, head: bytes) -> Answer:
        method, _, rest = head.partition(b" ")
        if method != b"GET":
            return HTTPStatus.METHOD_NOT_ALLOWED, TEXT, b"only GET\n"
        target = rest.partition(b" ")[0].partition(b"?")[0]
        return self.answer(target.decode("latin-1"))


def _response(status: HTTPStatus, kind: str, body: bytes) -> bytes:
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\n"
        f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
