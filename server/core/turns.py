"""Turns: whoever changes what others are changing waits here, and not on a connection.

A call that waits for a lock in the database keeps a connection. Of hundreds for one calendar a few
at a time may, and those that write leave some connections to those that read.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

from server.core.errors import Conflict

AT_ONCE = 4  # so that the next one is at the lock when it becomes free


class Turns:
    """Lets a few at a time change the same thing, and `most` in all; ABORTED after `patience`."""

    def __init__(self, most: int, patience: float) -> None:
        self._all = asyncio.Semaphore(most)
        self._patience = patience
        self._queues: dict[Hashable, asyncio.Semaphore] = {}
        self._waiting: Counter[Hashable] = Counter()

    @asynccontextmanager
    async def turn(self, thing: Hashable) -> AsyncIterator[None]:
        """Wait for a turn and take it; Conflict when it does not come in time."""
        queue = self._queues.setdefault(thing, asyncio.Semaphore(AT_ONCE))
        self._waiting[thing] += 1
        try:
            await self._wait(queue)
            try:
                yield
            finally:
                self._all.release()
                queue.release()
        finally:
            self._waiting[thing] -= 1
            if not self._waiting[thing]:
                del self._waiting[thing], self._queues[thing]

    async def _wait(self, queue: asyncio.Semaphore) -> None:
        try:
            async with asyncio.timeout(self._patience):
                await queue.acquire()
                try:
                    await self._all.acquire()
                except BaseException:
                    queue.release()
                    raise
        except TimeoutError:
            text = "Too many change the same at once; repeat it in a moment."
            raise Conflict(text, retry_after=1) from None
