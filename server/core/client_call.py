"""What a client of the in-process channel holds of a call: the surface of `grpc.aio`'s calls."""

import asyncio
import logging
from collections.abc import AsyncIterable, AsyncIterator, Callable, Generator, Iterable
from functools import partial
from typing import Any

import grpc
from grpc.aio import AioRpcError, Metadata, UsageError

from server.core.call import EOF
from server.core.exchange import Exchange, Status, StatusCode

Serialise = Callable[[Any], bytes]
Deserialise = Callable[[bytes], Any]

_MIXED = "The iterator and read/write APIs may not be mixed on a single RPC."
_logger = logging.getLogger(__name__)


class Call:
    """What every kind of call has for its client."""

    def __init__(self, exchange: Exchange, serialise: Serialise, deserialise: Deserialise) -> None:
        self._exchange = exchange
        self._serialise = serialise
        self._deserialise = deserialise

    def __del__(self) -> None:
        exchange = self._exchange
        if exchange.status is None and not exchange.loop.is_closed():
            exchange.stop(Status(StatusCode.CANCELLED, "Cancelled upon garbage collection!"))

    def cancel(self) -> bool:
        ended = self._exchange.stop(
            Status(StatusCode.CANCELLED, "Locally cancelled by application!")
        )
        self._exchange.cancelled_by_client |= ended
        return ended

    def cancelled(self) -> bool:
        status = self._exchange.status
        return status is not None and status.code is StatusCode.CANCELLED

    def done(self) -> bool:
        return self._exchange.status is not None

    def time_remaining(self) -> float | None:
        return self._exchange.time_remaining()

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        if self.done():
            callback(self)
        else:
            self._exchange.callbacks.append(partial(callback, self))

    async def wait_for_connection(self) -> None:
        await self._exchange.until_begun()
        if self.done():
            self._raise_for_status()

    async def initial_metadata(self) -> Metadata:
        return Metadata(*await self._exchange.until_begun())

    async def trailing_metadata(self) -> Metadata:
        return Metadata(*(await self._exchange.until_ended()).trailing)

    async def code(self) -> StatusCode:
        return (await self._exchange.until_ended()).code

    async def details(self) -> str:
        return (await self._exchange.until_ended()).details

    async def debug_error_string(self) -> str:
        return await self.details()

    def _raise_for_status(self) -> None:
        exchange = self._exchange
        if exchange.cancelled_by_client:
            raise asyncio.CancelledError
        status = exchange.status
        if status is not None and status.code is not StatusCode.OK:
            raise AioRpcError(
                status.code,
                Metadata(*(exchange.initial or ())),
                Metadata(*status.trailing),
                details=status.details,
                debug_error_string=status.details,
            )

    async def _ended(self) -> None:
        try:
            await self._exchange.until_ended()
        except asyncio.CancelledError:
            self.cancel()
            raise
        self._raise_for_status()


class OneAnswer(Call):
    """The client's side of a call with one answer: awaited."""

    def __await__(self) -> Generator[Any, None, Any]:
        yield from self._ended().__await__()
        return self._deserialise(self._exchange.answer or b"")


class ManyAnswers(Call):
    """The client's side of a call with a stream of answers: iterated, or read one by one."""

    _iterating: AsyncIterator[Any] | None = None

    def __aiter__(self) -> AsyncIterator[Any]:
        if self._iterating is None:
            self._iterating = self._answers()
        return self._iterating

    async def read(self) -> Any:
        if self._iterating is not None:
            raise UsageError(_MIXED)
        return await self._read()

    async def _answers(self) -> AsyncIterator[Any]:
        while (answer := await self._read()) is not EOF:
            yield answer

    async def _read(self) -> Any:
        try:
            raw = await self._exchange.responses.get()
        except asyncio.CancelledError:
            self.cancel()
            raise
        if raw is not None:
            return self._deserialise(raw)
        await self._ended()
        return EOF


class ManyRequests(Call):
    """The client's side of a call with a stream of requests: from an iterator, or written."""

    _half_closed = False
    _sending: asyncio.Task[None] | None = None

    def send(self, requests: AsyncIterable[Any] | Iterable[Any]) -> None:
        """Write what an iterator yields, beside whatever else the client does."""
        self._sending = asyncio.get_running_loop().create_task(self._send(requests))

    def cancel(self) -> bool:
        if self._sending is not None:
            self._sending.cancel()
        return super().cancel()

    async def write(self, request: Any) -> None:
        if self._sending is not None:
            raise UsageError(_MIXED)
        await self._write(request)

    async def done_writing(self) -> None:
        if self._sending is not None:
            raise UsageError(_MIXED)
        self._close()

    def _close(self) -> None:
        self._half_closed = True
        self._exchange.requests.close()

    async def _write(self, request: Any) -> None:
        if self.done():
            raise asyncio.InvalidStateError("RPC already finished.")
        if self._half_closed:
            raise asyncio.InvalidStateError('RPC is half closed after calling "done_writing".')
        raw = self._serialise(request)
        try:
            taken = self._exchange.accepts(raw) and await self._exchange.requests.put(raw)
        except asyncio.CancelledError:
            self.cancel()
            raise
        if not taken:
            self._raise_for_status()

    async def _send(self, requests: AsyncIterable[Any] | Iterable[Any]) -> None:
        try:
            async for request in _asynchronous(requests):
                await self._write(request)
            self._close()
        except (AioRpcError, asyncio.InvalidStateError):
            return  # the call has ended; whoever reads it learns how
        except Exception:
            _logger.debug("the client's iterator of requests failed", exc_info=True)
            super().cancel()


async def _asynchronous(items: AsyncIterable[Any] | Iterable[Any]) -> AsyncIterator[Any]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item


class UnaryUnaryCall(OneAnswer, grpc.aio.UnaryUnaryCall):  # type: ignore[type-arg]
    """One request, one answer."""


class UnaryStreamCall(ManyAnswers, grpc.aio.UnaryStreamCall):  # type: ignore[type-arg]
    """One request, many answers."""


class StreamUnaryCall(ManyRequests, OneAnswer, grpc.aio.StreamUnaryCall):  # type: ignore[type-arg]
    """Many requests, one answer."""


class StreamStreamCall(ManyRequests, ManyAnswers, grpc.aio.StreamStreamCall):  # type: ignore[type-arg]
    """Many requests, many answers."""
