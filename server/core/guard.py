"""The guard: every call of every kind passes here, and only here does an error leave.

It finds out who calls, whether they may, reads the request by the contract's rules, keeps time and
size, answers an error the one way it may look, and writes the call down. A `Guard` holds what all
RPCs share; a `Method` what is known of one RPC before it is called.
"""

import asyncio
import contextlib
import inspect
import random
import secrets
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Any, TypeVar

from google.protobuf.message import Message

from server.core import call as calls
from server.core import log
from server.core.access import Caller, Rule
from server.core.call import Call, Networks, Transport
from server.core.context import HandlerContext
from server.core.errors import (
    Conflict,
    DeadlineExceeded,
    Error,
    Internal,
    Replay,
    Serialization,
    Unauthenticated,
    Unavailable,
)
from server.core.metrics import Meter
from server.core.refusal import refusal
from server.core.stream import OpenStream, OpenStreams, Requests

Authenticate = Callable[[str], Awaitable[Caller]]
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a call; times in seconds.

    `recheck` is how often the token of an open stream is verified again, `drain` how long the guard
    reads on before it ends a stream that its client still writes to.
    """

    deadline: float = 30.0
    answer_bytes: int = 4 * 1024 * 1024
    attempts: int = 3
    recheck: float = 50.0
    drain: float = 0.25
    streams_per_caller: int = 20


@dataclass(frozen=True, slots=True)
class Method:
    """One RPC: its path, who may call it, its codec, its handler and its meter.

    A `quiet` one, that machines call all the time, is logged for debugging only.
    """

    path: str
    rule: Rule
    read: Callable[[bytes], Message]
    write: Callable[[Any], bytes]
    handler: Callable[..., Any]
    meter: Meter
    streams_requests: bool = False
    streams_answers: bool = False
    quiet: bool = False


class Guard:
    """Serves calls of any method over any transport."""

    def __init__(
        self, authenticate: Authenticate, logger: log.Logger, limits: Limits, trusted: Networks
    ) -> None:
        self._authenticate = authenticate
        self._log = logger
        self._limits = limits
        self._trusted = trusted
        self.streams = OpenStreams(limits.streams_per_caller)

    async def unary(self, method: Method, raw: bytes, transport: Transport) -> bytes:
        """Serve a call that has one request and one answer."""
        call, began = self._begin(method, transport)
        try:
            answer = await self._in_time(transport, self._answer(method, raw, call, transport))
        except (Exception, asyncio.CancelledError) as failure:  # noqa: BLE001 - all ends here
            error = self._refused(failure, method, call, began, transport)
        else:
            transport.set_trailing_metadata((("x-request-id", call.request_id),))
            self._end(method, call, began, "OK")
            return answer
        return await self._leave(transport, error, call)

    async def stream(self, method: Method, first: Any, transport: Transport) -> bytes | None:
        """Serve a call that streams requests, answers or both; `first` is bytes if it has one."""
        call, began = self._begin(method, transport)
        requests = Requests(transport, method.read) if method.streams_requests else None
        stream = OpenStream()
        try:
            await self._admit(method.rule, call)
            message = method.read(first) if requests is None else requests
            context = HandlerContext(transport, method.write, requests)
            await transport.send_initial_metadata((("x-request-id", call.request_id),))
            answer = await self._converse(method, message, context, call, stream)
        except (Exception, asyncio.CancelledError) as failure:  # noqa: BLE001 - all ends here
            error = self._refused(stream.cause(failure), method, call, began, transport)
        else:
            transport.set_trailing_metadata((("x-request-id", call.request_id),))
            self._end(method, call, began, "OK")
            return answer
        if requests is not None:
            await requests.drain(self._limits.drain)
        return await self._leave(transport, error, call)

    def _begin(self, method: Method, transport: Transport) -> tuple[Call, float]:
        call = Call(transport.invocation_metadata() or (), transport.peer(), self._trusted)
        calls.enter(call)
        method.meter.begin()
        return call, perf_counter()

    async def _admit(self, rule: Rule, call: Call) -> None:
        if call.token:
            try:
                caller = await self._authenticate(call.token)
                # Keys, and whose second factor is missing, are nobody where anybody may call.
                lacking = caller.needs_factor and not rule.without_factor
                if not (rule.anyone and (lacking or caller.key)):
                    call.caller = caller
            except Unauthenticated:
                # An outdated token must not keep anybody from signing in again.
                if not rule.anyone:
                    raise
        rule.check(call.caller)

    async def _in_time(self, transport: Transport, answer: Awaitable[Answer]) -> Answer:
        left = transport.time_remaining()
        if left is not None and left <= self._limits.deadline:
            return await answer
        limit = asyncio.timeout(self._limits.deadline)
        try:
            async with limit:
                return await answer
        except TimeoutError:
            if limit.expired():
                raise DeadlineExceeded from None
            raise

    async def _answer(self, method: Method, raw: bytes, call: Call, transport: Transport) -> bytes:
        await self._admit(method.rule, call)
        context = HandlerContext(transport, method.write)
        for attempt in range(1, self._limits.attempts + 1):
            try:
                return method.write(await method.handler(method.read(raw), context))
            except Replay as replay:
                return replay.response
            except Serialization:
                if attempt == self._limits.attempts:
                    raise
                # Two transactions that met once would meet again in step.
                await asyncio.sleep(random.uniform(0, 0.01 * attempt))  # noqa: S311 - no secret
        raise AssertionError("no attempt allowed")

    async def _converse(
        self,
        method: Method,
        message: Any,
        context: HandlerContext,
        call: Call,
        stream: OpenStream,
    ) -> bytes | None:
        with (
            self.streams.holding(stream, call.caller.actor_id or call.address),
            self._rechecked(method.rule, call, stream),
        ):
            if not method.streams_answers:
                return method.write(await method.handler(message, context))
            await _pump(method, message, context)
            return None

    @contextlib.contextmanager
    def _rechecked(self, rule: Rule, call: Call, stream: OpenStream) -> Iterator[None]:
        if call.caller.actor_id is None:
            yield
            return
        checking = asyncio.create_task(self._recheck(rule, call, stream))
        try:
            yield
        finally:
            checking.cancel()

    async def _recheck(self, rule: Rule, call: Call, stream: OpenStream) -> None:
        while True:
            await asyncio.sleep(self._limits.recheck)
            try:
                rule.check(await self._authenticate(call.token))
            except Error as error:
                stream.end(error)
            except Exception as failure:  # noqa: BLE001 - who cannot be verified is not served
                self._log.error("recheck", request_id=call.request_id, **log.failure(failure))
                stream.end(Unavailable())

    def _refused(
        self,
        failure: BaseException,
        method: Method,
        call: Call,
        began: float,
        transport: Transport,
    ) -> Error:
        """Answer the error that the caller is told; raise again when nobody is there to be told."""
        if isinstance(failure, asyncio.CancelledError) and _cancelled():
            left = transport.time_remaining()
            late = left is not None and left <= 0
            self._end(method, call, began, "DEADLINE_EXCEEDED" if late else "CANCELLED")
            raise failure
        if isinstance(failure, Serialization):
            failure = Conflict()
        if isinstance(failure, Error):
            self._end(method, call, began, failure.code.name, reason=failure.reason)
            return failure
        error = Internal(secrets.token_hex(8))
        self._end(method, call, began, "INTERNAL", **error.metadata, **log.failure(failure))
        return error

    def _end(self, method: Method, call: Call, began: float, code: str, **more: Any) -> None:
        seconds = perf_counter() - began
        method.meter.end(code, seconds)
        write = self._log.debug if method.quiet else self._log.info
        if code == "INTERNAL":
            write = self._log.error
        user, key = call.caller.user_id, call.caller.key
        write(
            "rpc",
            method=method.path,
            code=code,
            ms=round(seconds * 1000, 2),
            request_id=call.request_id,
            trace_id=call.trace_id or None,
            user_id=user and str(user),
            **({"key_id": str(key.key_id)} if key else {}),
            **more,
        )

    async def _leave(self, transport: Transport, error: Error, call: Call) -> bytes:
        await transport.abort(*refusal(error, call.request_id))


async def _pump(method: Method, message: Any, context: HandlerContext) -> None:
    if not inspect.isasyncgenfunction(method.handler):
        await method.handler(message, context)
        return
    async with contextlib.aclosing(method.handler(message, context)) as answers:
        async for answer in answers:
            await context.write(answer)


def _cancelled() -> bool:
    """Tell a call cut off from outside from a handler that lets a CancelledError of its own out."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
