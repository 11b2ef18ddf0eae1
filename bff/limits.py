"""Bounds on what a request may carry, held before anything reads it."""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bff.problem import Problem
from bff.visit import visit_of

LARGEST_HEADERS: Final = 16 * 1024
MOST_HEADERS: Final = 100


def check_headers(scope: Scope) -> None:
    """Refuse more header lines, or longer ones in all, than any browser sends."""
    headers = scope["headers"]
    if len(headers) > MOST_HEADERS or _size(scope) > LARGEST_HEADERS:
        raise Problem(431, "TOO_LARGE", "The request's headers and URL are too long.")


def _size(scope: Scope) -> int:
    named = sum(len(name) + len(value) for name, value in scope["headers"])
    return named + len(scope["query_string"]) + len(scope["path"])


class BodyLimit:
    """ASGI middleware: a body above `largest` bytes is 413, whether announced or only sent."""

    def __init__(self, app: ASGIApp, largest: int) -> None:
        self._app = app
        self._largest = largest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._check_announced(scope)
            await self._app(scope, self._counted(receive), send)
        except Problem as problem:
            await problem.response(visit_of(scope).request_id)(scope, receive, send)

    def _check_announced(self, scope: Scope) -> None:
        for name, value in scope["headers"]:
            if name == b"content-length" and not (value.isdigit() and int(value) <= self._largest):
                raise self._too_large()

    def _counted(self, receive: Receive) -> Receive:
        seen = 0

        async def count() -> Message:
            nonlocal seen
            event = await receive()
            seen += len(event.get("body", b""))
            if seen > self._largest:
                raise self._too_large()
            return event

        return count

    def _too_large(self) -> Problem:
        detail = f"The body may have {self._largest} bytes."
        return Problem(413, "TOO_LARGE", detail, headers={"Connection": "close"})
