"""Sessions of browsers: a cookie in, the access token that it holds out, fresh tokens back.

The browser never sees a token. What changes something needs two proofs besides the cookie: an
origin that may use it, and the CSRF token of the session.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Iterable
from typing import Final

import grpc
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bff.cookies import Cookies, Held
from bff.origin import SAFE, check_origin, header
from bff.problem import Problem, of_rpc
from bff.route import Route
from bff.visit import Metadata, Visit, visit_of
from carelane.auth.v1 import auth_service_pb2 as pb
from carelane.auth.v1 import auth_service_pb2_grpc
from carelane.auth.v1.session_pb2 import Session

MARGIN: Final = 60  # seconds before its end in which an access token is exchanged
CSRF_HEADER: Final = b"x-csrf-token"
_PATIENCE: Final = 10.0  # seconds; whoever waits for the exchange has 30


class BrowserSession:
    """The session that a request came with, and the one that its answer leaves in the browser."""

    __slots__ = ("_cookies", "changed", "held")

    def __init__(self, cookies: Cookies, held: Held | None = None) -> None:
        self._cookies = cookies
        self.held = held
        self.changed = False

    def become(self, held: Held | None) -> None:
        """Give the browser this session, or none, with the answer."""
        self.held = held
        self.changed = True

    @property
    def csrf_token(self) -> str:
        """What the page sends with every change; empty without a session."""
        return self._cookies.csrf_token(self.held.session_id) if self.held else ""


def held_of(session: Session) -> Held:
    """Answer what a cookie holds of a session of the contract."""
    return Held(
        session.session_id,
        session.access_token,
        session.access_token_expire_time.seconds,
        session.refresh_token,
        session.refresh_token_expire_time.seconds,
    )


class Sessions:
    """ASGI middleware in front of the gateway."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        routes: Iterable[Route],
        channel: grpc.aio.Channel,
        cookies: Cookies,
        origins: Collection[str],
        https: bool,
        clock: Callable[[], float] = time.time,
    ) -> None:
        own = [route for route in routes if route.cookie]
        self._app = app
        self._paths = {route.path for route in own}
        self._opening = {(route.method, route.path) for route in own if route.cookie == "open"}
        self._cookies = cookies
        self._origins = origins
        self._https = https
        self._clock = clock
        self._exchanges = _Exchanges(channel)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/api/"):
            await self._prepare(scope, visit_of(scope))
            send = self._answering(visit_of(scope), send)
        await self._app(scope, receive, send)

    async def _prepare(self, scope: Scope, visit: Visit) -> None:
        """Put the session into the visit; Problem for a request that may not use it."""
        visit.session = BrowserSession(self._cookies)
        value = self._cookies.value(scope)
        if visit.has_credential:
            if value is not None or scope["path"] in self._paths:
                raise _two_credentials()
        elif (scope["method"], scope["path"]) in self._opening:
            check_origin(scope, self._origins, https=self._https)
        elif value is not None:
            await self._use(value, scope, visit, visit.session)

    async def _use(self, value: str, scope: Scope, visit: Visit, session: BrowserSession) -> None:
        """Let a request act with the session of its cookie; one that is over counts as none."""
        held = self._cookies.open(value)
        if held and scope["method"] not in SAFE:
            check_origin(scope, self._origins, https=self._https)
            if not self._cookies.is_csrf_token(header(scope, CSRF_HEADER), held.session_id):
                raise Problem(403, "CSRF_TOKEN_WRONG", "Send the session's token as X-CSRF-Token.")
        if held and held.access_expires - MARGIN > self._clock():
            session.held = held
        else:
            session.become(held and await self._exchanges.exchange(held, visit.metadata()))
        if session.held:
            visit.authorize(session.held.access_token)

    def _answering(self, visit: Visit, send: Send) -> Send:
        """Answer a `send` that adds the cookie where the session has changed."""

        async def answer(event: Message) -> None:
            session = visit.session
            if session and event["type"] == "http.response.start":
                if session.held and visit.refused_with == "UNAUTHENTICATED":
                    session.become(None)
                if session.changed:
                    self._set_cookie(event, session)
            await send(event)

        return answer

    def _set_cookie(self, event: Message, session: BrowserSession) -> None:
        """Put the cookie into an answer, which then nobody may keep."""
        others = [pair for pair in event.get("headers", ()) if pair[0].lower() != b"cache-control"]
        cookie = self._cookies.header(session.held, self._clock())
        event["headers"] = [*others, (b"cache-control", b"no-store"), (b"set-cookie", cookie)]


class _Exchanges:
    """Exchanges refresh tokens, each once however many requests of a page wait for it.

    An exchange goes on when they leave: otherwise a reload would spend the token for nothing. What
    several processes do at once, the server answers alike for ten seconds.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = auth_service_pb2_grpc.AuthServiceStub(channel)
        self._running: dict[str, asyncio.Task[Held | None]] = {}

    async def exchange(self, held: Held, metadata: Metadata) -> Held | None:
        """Answer the session with its next tokens; None when it is over."""
        token = held.refresh_token
        task = self._running.get(token)
        if task is None:
            task = asyncio.create_task(self._exchange(token, metadata))
            self._running[token] = task
            task.add_done_callback(lambda done: self._forget(token, done))
        try:
            return await asyncio.shield(task)
        except grpc.aio.AioRpcError as error:
            raise of_rpc(error) from None

    async def _exchange(self, token: str, metadata: Metadata) -> Held | None:
        request = pb.RefreshTokenRequest(refresh_token=token)
        try:
            call = self._stub.RefreshToken(request, timeout=_PATIENCE, metadata=metadata)
            return held_of((await call).session)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNAUTHENTICATED:
                return None
            raise

    def _forget(self, token: str, task: asyncio.Task[Held | None]) -> None:
        self._running.pop(token, None)
        if not task.cancelled():
            task.exception()  # who waited has seen it; if nobody did, it is of no interest


def _two_credentials() -> Problem:
    return Problem(
        400,
        "TWO_CREDENTIALS",
        "Send the session cookie or an access token, not both; /api/session takes no token.",
    )
