"""What the guard does for streams: requests one by one, and an end that reaches the client."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Hashable, Iterator
from typing import Any

from google.protobuf.message import Message

from server.core.call import Transport
from server.core.errors import Error, ResourceExhausted, Unavailable


class Requests:
    """The requests of a client-streaming call, read and checked as the handler asks for them.

    They end when the client says so, and also, up to some milliseconds before the handler is
    cancelled, when it breaks off. So an end proves nothing: what must be complete to take effect
    says so in a message.
    """

    def __init__(self, transport: Transport, read: Callable[[bytes], Message]) -> None:
        self._transport = transport
        self._read = read
        self.exhausted = False

    def __aiter__(self) -> AsyncIterator[Message]:
        return self

    async def __anext__(self) -> Message:
        raw = await self._next()
        if raw is None:
            raise StopAsyncIteration
        return self._read(raw)

    async def drain(self, seconds: float) -> None:
        """Read on for a moment and drop it.

        A server that ends a call while its client still writes makes gRPC clients see INTERNAL in
        place of the status: https://github.com/grpc/grpc/issues/14505.
        """
        if self.exhausted:
            return
        dropping = asyncio.ensure_future(self._drop())
        dropping.add_done_callback(_forget)
        await asyncio.wait({dropping}, timeout=seconds)

    async def _next(self) -> bytes | None:
        if self.exhausted:
            return None
        raw = await self._transport.read()
        if isinstance(raw, bytes):
            return raw
        self.exhausted = True
        return None

    async def _drop(self) -> None:
        while await self._next() is not None:
            pass


def _forget(task: asyncio.Future[None]) -> None:
    if not task.cancelled():
        task.exception()


class OpenStream:
    """A stream that is being served, and can be ended from outside with an error."""

    def __init__(self) -> None:
        self._task = _this_task()
        self._error: Error | None = None

    def end(self, error: Error) -> None:
        """Stop the handler; the call leaves with `error`."""
        if self._error is None:
            self._error = error
            self._task.cancel()

    def cause(self, failure: BaseException) -> BaseException:
        """Answer the error behind a failure of the handler, if `end` is what made it fail.

        A client that went away, or a server that stops, at the same time wins.
        """
        cut = isinstance(failure, asyncio.CancelledError)
        if self._error is None or not cut or self._task.uncancel() > 0:
            return failure
        return self._error


def _this_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("a stream is served in a task")
    return task


class OpenStreams:
    """All streams that are being served."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: set[OpenStream] = set()
        self._per_caller: Counter[Hashable] = Counter()
        self._draining = False

    @contextlib.contextmanager
    def holding(self, stream: OpenStream, who: Hashable) -> Iterator[None]:
        """Count a stream as open; `who` may hold only so many at once."""
        if self._draining:
            raise Unavailable
        if self._per_caller[who] >= self._limit:
            raise ResourceExhausted("Too many streams are open; close one first.")
        self._open.add(stream)
        self._per_caller[who] += 1
        try:
            yield
        finally:
            self._open.discard(stream)
            self._per_caller[who] -= 1
            if not self._per_caller[who]:
                del self._per_caller[who]

    def drain(self) -> None:
        """End every stream with UNAVAILABLE, so that clients go elsewhere; accept no new one."""
        self._draining = True
        for stream in tuple(self._open):
            stream.end(Unavailable("The server is going down; connect again."))
