"""One call inside the process: what runs between a client's call object and a guarded handler."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, NamedTuple, NoReturn

import grpc

from server.core.call import EOF, IN_PROCESS, Metadata

Wire = tuple[tuple[str, str | bytes], ...]
StatusCode = grpc.StatusCode

WINDOW_BYTES = 64 * 1024
WINDOW_MESSAGES = 1024
MAX_MESSAGE = 4 * 1024 * 1024


class Status(NamedTuple):
    """How a call ended."""

    code: StatusCode
    details: str = ""
    trailing: Wire = ()


class Pipe:
    """Messages on their way in one direction; a full pipe lets its writer wait."""

    __slots__ = ("_closed", "_messages", "_readers", "_size", "_writers")

    def __init__(self) -> None:
        self._messages: deque[bytes] = deque()
        self._size = 0
        self._closed = False
        self._readers: set[asyncio.Future[None]] = set()
        self._writers: set[asyncio.Future[None]] = set()

    async def put(self, raw: bytes) -> bool:
        """Add a message; False when nobody will read it any more."""
        while self._full() and not self._closed:
            await _wait(self._writers)
        if self._closed:
            return False
        self._messages.append(raw)
        self._size += len(raw)
        _wake(self._readers)
        return True

    async def get(self) -> bytes | None:
        """Take the next message; None after the last one."""
        while not self._messages:
            if self._closed:
                return None
            await _wait(self._readers)
        raw = self._messages.popleft()
        self._size -= len(raw)
        _wake(self._writers)
        return raw

    def close(self, *, drop: bool = False) -> None:
        """Take no more messages, and forget those on the way if `drop`."""
        self._closed = True
        if drop:
            self._messages.clear()
        _wake(self._readers)
        _wake(self._writers)

    def _full(self) -> bool:
        return self._size >= WINDOW_BYTES or len(self._messages) >= WINDOW_MESSAGES


async def _wait(waiters: set[asyncio.Future[None]]) -> None:
    waiter = asyncio.get_running_loop().create_future()
    waiters.add(waiter)
    try:
        await waiter
    finally:
        waiters.discard(waiter)


def _wake(waiters: set[asyncio.Future[None]]) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)


class Exchange:
    """The state of a call; to its handler, the transport.

    It ends once: by the handler, the deadline, or the client. What comes later is not seen.
    """

    def __init__(self, metadata: Wire, timeout: float | None) -> None:
        self.loop = asyncio.get_running_loop()
        self.requests = Pipe()
        self.responses = Pipe()
        self.answer: bytes | None = None
        self.status: Status | None = None
        self.initial: Wire | None = None
        self.cancelled_by_client = False
        self.callbacks: list[Callable[[], None]] = []
        self._metadata = metadata
        self._trailing: Wire = ()
        self._aborted: Status | None = None
        self._waiters: set[asyncio.Future[None]] = set()
        self._task: asyncio.Task[None] | None = None
        self._deadline = None if timeout is None else self.loop.time() + timeout
        self._timer = (
            None if self._deadline is None else self.loop.call_at(self._deadline, self._expire)
        )

    def start(self, serving: Coroutine[Any, Any, bytes | None]) -> asyncio.Task[None]:
        """Run the handler in a task and a context of its own, as a server would."""
        self._task = self.loop.create_task(self._run(serving), context=Context())
        return self._task

    def accepts(self, raw: bytes) -> bool:
        """Check the size of a request; one that is too large ends the call."""
        if len(raw) > MAX_MESSAGE:
            sizes = f"({len(raw)} vs. {MAX_MESSAGE})"
            text = f"SERVER: Received message larger than max {sizes}"
            self.stop(Status(StatusCode.RESOURCE_EXHAUSTED, text))
        return self.status is None

    def end(self, status: Status, *, drop: bool = True) -> bool:
        """End the call, unless it has ended; `drop` forgets answers that are not read yet."""
        if self.status is not None:
            return False
        self.status = status
        if self.initial is None:
            self.initial = ()
        if self._timer is not None:
            self._timer.cancel()
        self.requests.close(drop=True)
        self.responses.close(drop=drop)
        _wake(self._waiters)
        for callback in self.callbacks:
            callback()
        return True

    def stop(self, status: Status) -> bool:
        """End the call from outside its handler."""
        ended = self.end(status)
        if ended and self._task is not None:
            self._task.cancel()
        return ended

    async def until_ended(self) -> Status:
        while self.status is None:
            await _wait(self._waiters)
        return self.status

    async def until_begun(self) -> Wire:
        """Wait for the initial metadata."""
        while self.initial is None:
            await _wait(self._waiters)
        return self.initial

    async def _run(self, serving: Coroutine[Any, Any, bytes | None]) -> None:
        try:
            self.answer = await serving
        except grpc.aio.AbortError:
            self.end(self._aborted or Status(StatusCode.UNKNOWN), drop=False)
        except asyncio.CancelledError:
            self.end(Status(StatusCode.UNAVAILABLE, "The server stopped the call."))
            raise
        except Exception:  # the guard lets none out; a defect there must not leave a caller waiting
            self.end(Status(StatusCode.UNKNOWN, "The call failed."))
            raise
        else:
            self.end(Status(StatusCode.OK, "", self._trailing), drop=False)

    def _expire(self) -> None:
        self.stop(Status(StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded"))

    # The transport, as the guard uses it.

    def invocation_metadata(self) -> Metadata | None:
        return self._metadata

    def peer(self) -> str:
        return IN_PROCESS

    def time_remaining(self) -> float | None:
        if self._deadline is None:
            return None
        return max(0.0, self._deadline - self.loop.time())

    def set_trailing_metadata(self, metadata: Metadata) -> None:
        self._trailing = tuple(metadata)

    async def send_initial_metadata(self, metadata: Metadata) -> None:
        if self.initial is None:
            self.initial = tuple(metadata)
            _wake(self._waiters)

    async def read(self) -> bytes | object:
        raw = await self.requests.get()
        return EOF if raw is None else raw

    async def write(self, message: bytes) -> None:
        if self.initial is None:
            await self.send_initial_metadata(())
        await self.responses.put(message)

    async def abort(
        self, code: StatusCode, details: str = "", trailing_metadata: Metadata = ()
    ) -> NoReturn:
        self._aborted = Status(code, details, tuple(trailing_metadata))
        raise grpc.aio.AbortError
