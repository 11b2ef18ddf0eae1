"""The outermost layer of a request: its id, its log line, its numbers, its safe headers."""

from collections.abc import Iterable
from time import perf_counter
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bff.limits import check_headers
from bff.log import Logger, failure
from bff.metrics import RequestMetrics
from bff.problem import Problem, defect
from bff.visit import Networks, Visit, enter

Headers = list[tuple[bytes, bytes]]

_ALWAYS: Final = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    b"content-security-policy": (
        b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    b"cache-control": b"no-store",
}
_HSTS: Final = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")


class Edge:
    """ASGI middleware around all others; `secure` adds what holds only behind HTTPS."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        proxies: Networks,
        log: Logger,
        metrics: RequestMetrics,
        secure: bool,
    ) -> None:
        self._app = app
        self._proxies = proxies
        self._log = log
        self._metrics = metrics
        self._added = [*_ALWAYS.items(), *([_HSTS] if secure else [])]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        visit = Visit(scope, self._proxies)
        enter(scope, visit)
        exchange = _Exchange(send, [*self._added, (b"x-request-id", visit.request_id.encode())])
        began = perf_counter()
        try:
            await self._serve(scope, receive, exchange, visit)
        finally:
            self._write_down(scope, visit, exchange.status, perf_counter() - began)

    async def _serve(
        self, scope: Scope, receive: Receive, exchange: "_Exchange", visit: Visit
    ) -> None:
        try:
            check_headers(scope)
            await self._app(scope, receive, exchange.send)
        except Problem as problem:
            await problem.response(visit.request_id)(scope, receive, exchange.send)
        except Exception as error:
            self._log.error("defect", request_id=visit.request_id, **failure(error))
            if exchange.status:
                raise
            await defect(visit.request_id).response(visit.request_id)(scope, receive, exchange.send)

    def _write_down(self, scope: Scope, visit: Visit, status: int, seconds: float) -> None:
        route = _route(scope)
        self._metrics.count(scope["method"], route, status, seconds)
        self._log.info(
            "request",
            method=scope["method"],
            route=route,
            status=status,
            ms=round(seconds * 1000, 1),
            request_id=visit.request_id,
            address=visit.address,
        )


class _Exchange:
    """Sends a response with the headers that every response has; `status` is 0 until it begins."""

    __slots__ = ("_added", "_send", "status")

    def __init__(self, send: Send, added: Headers) -> None:
        self._send = send
        self._added = added
        self.status = 0

    async def send(self, event: Message) -> None:
        if event["type"] == "http.response.start":
            self.status = event["status"]
            event["headers"] = _merged(event.get("headers", ()), self._added)
        await self._send(event)


def _merged(own: Iterable[tuple[bytes, bytes]], added: Headers) -> Headers:
    """Answer a response's own headers, and those of `added` that it does not set itself."""
    merged = [*own]
    names = {name for name, _ in merged}
    merged += [pair for pair in added if pair[0] not in names]
    return merged


def _route(scope: Scope) -> str:
    """Answer the route's path as the table has it, so that logs and metrics hold nobody's ids."""
    endpoint = scope.get("endpoint")
    path = getattr(endpoint, "path", None) or getattr(endpoint, "__name__", None)
    return path if isinstance(path, str) else "unknown"
