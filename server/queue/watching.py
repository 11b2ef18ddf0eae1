"""Watching queues: one query a second for each practice that is watched, however many watch it.

A practice's queue is read in the name of its doctor, who may see all of it; so may everyone who
watches, and that is checked for each of them at the beginning and again while the stream is open.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import Context
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from server.core.access import Caller
from server.core.db import Database
from server.queue import day
from server.queue.day import Practice, Queue
from server.queue.waits import Length, Wait

POLL_SECONDS = 1.0
RECHECK_SECONDS = 30.0


class View(NamedTuple):
    """A queue as it is shown: with the expected waits at `now`, in the order of its entries."""

    queue: Queue
    now: datetime
    waits: tuple[Wait | None, ...]

    def shows(self, other: "View") -> bool:
        """Say whether both look alike; that time has gone by alone does not matter."""
        return (self.queue, self.waits) == (other.queue, other.waits)


class Step(NamedTuple):
    """What a watcher is shown next, and what it was shown before; None at the beginning."""

    before: View | None
    after: View


class _Watched:
    """A practice that somebody watches; `view` is the newest, `failure` why there is no newer."""

    def __init__(self, db: Database, practice: Practice) -> None:
        self.watchers = 0
        self.view: View | None = None
        self.failure: Exception | None = None
        self._db = db
        self._practice = practice
        self._caller = Caller(practice.doctor_id, "doctor")
        self._past: tuple[date, list[Length]] | None = None
        self._news = asyncio.Event()
        # not in the context of the call that happens to be the first
        self._task = asyncio.get_running_loop().create_task(self._follow(), context=Context())

    def stop(self) -> None:
        """Read no more."""
        self._task.cancel()

    async def newer(self, seen: View | None) -> View:
        """Wait for a view other than `seen`."""
        while self.failure is None:
            if self.view is not None and self.view is not seen:
                return self.view
            await self._news.wait()
        raise self.failure

    async def _follow(self) -> None:
        while self.failure is None:
            try:
                view = await self._read()
            except Exception as failure:  # noqa: BLE001 - every watcher is told, by the guard
                self.failure = failure
            else:
                if self.view and self.view.shows(view):
                    view = self.view
                self.view = view
            self._tell()
            await asyncio.sleep(POLL_SECONDS)

    def _tell(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def _read(self) -> View:
        async with self._db.transaction(self._caller) as tx:
            practice = self._practice
            queue = await day.read(tx, practice.practice_id, zone=practice.zone)
            if self._past is None or self._past[0] != queue.local_date:
                self._past = queue.local_date, await day.remember(tx, queue.practice)
            return View(queue, tx.now, tuple(queue.waits(tx.now, self._past[1])))


class Watching:
    """The queues that are watched in this process."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._watched: dict[UUID, _Watched] = {}

    async def steps(
        self, practice: Practice, check: Callable[[], Awaitable[object]]
    ) -> AsyncGenerator[Step, None]:
        """Show the queue as it is, then each time that it differs, until `check` or a read fails.

        Who is slow to take a step misses those between, and is shown them as one.
        """
        clock = asyncio.get_running_loop().time
        due, seen = clock() + RECHECK_SECONDS, None
        with self._watching(practice) as watched:
            while True:
                try:
                    async with asyncio.timeout_at(due):
                        view = await watched.newer(seen)
                except TimeoutError:
                    view = None
                if clock() >= due:
                    await check()
                    due = clock() + RECHECK_SECONDS
                if view is not None:
                    yield Step(seen, view)
                    seen = view

    @contextmanager
    def _watching(self, practice: Practice) -> Iterator[_Watched]:
        watched = self._watched.get(practice.practice_id)
        if watched is None or watched.failure:
            watched = _Watched(self._db, practice)
            self._watched[practice.practice_id] = watched
        watched.watchers += 1
        try:
            yield watched
        finally:
            watched.watchers -= 1
            if not watched.watchers:
                watched.stop()
                if self._watched.get(practice.practice_id) is watched:
                    del self._watched[practice.practice_id]
