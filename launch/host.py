"""The platform's processes: server and BFF in one, each alone, or background work alone."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import uvloop
from prometheus_client import CollectorRegistry, start_http_server

from bff.app import create_app
from bff.serve import connect
from bff.settings import Settings as BffSettings
from launch import certificates, migrate, process, rest
from launch.errors import Refusal
from launch.logs import libraries_heard
from launch.settings import read
from server import app as apps
from server import serve as grpc_server
from server import work
from server.core import log
from server.core.channel import InProcessChannel
from server.core.errors import Unavailable
from server.probes import Probes
from server.settings import Settings as ServerSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TextIO

    from launch.signals import Ending

BFF_GRACE = 5.0


@dataclass(slots=True)
class Life:
    """One part's start and end: it sets `up` when it works, and ends when `stop` is set."""

    stop: asyncio.Event
    up: asyncio.Event = field(default_factory=asyncio.Event)

    async def last(self) -> None:
        """Say that the part works, and return when it should end."""
        self.up.set()
        await self.stop.wait()


Part = Callable[[Life], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Frame:
    """What parts of one process share; `stack` is closed after the last of them has ended."""

    stack: AsyncExitStack
    output: TextIO = sys.stdout
    metrics: CollectorRegistry = field(default_factory=CollectorRegistry)

    def logger(self, level: str) -> log.Logger:
        """Return a logger that writes where this process logs."""
        return log.logger(level, self.output)


Kind = Callable[[Frame], Awaitable[list[Part]]]


async def everything(frame: Frame) -> list[Part]:
    """Join server and BFF in this process: the same guard and servicers, without a network."""
    settings, bff_settings = read(ServerSettings), read(BffSettings)
    app = await _opened(frame, settings)
    channel = await frame.stack.enter_async_context(InProcessChannel(app.registry))
    web = create_app(
        channel,
        bff_settings,
        logger=frame.logger(bff_settings.log_level),
        metrics=frame.metrics,
    )

    async def serve_rest(life: Life) -> None:
        grace = settings.stop_seconds
        async with rest.listening(web, bff_settings.http_address, grace=grace):
            await life.last()
            await app.drain()

    return [_grpc_part(app), serve_rest, *await _work(frame, settings)]


async def server(frame: Frame) -> list[Part]:
    """Serve gRPC alone."""
    settings = read(ServerSettings)
    app = await _opened(frame, settings)
    await frame.stack.enter_async_context(Probes(app).listening(settings.metrics_address))
    return [_grpc_part(app)]


async def bff(frame: Frame) -> list[Part]:
    """Serve REST alone, over gRPC."""
    settings = read(BffSettings)
    certificates.refuse_authority("GRPC_CA_FILE", settings.grpc_ca_file)
    channel = await frame.stack.enter_async_context(connect(settings))
    logger = frame.logger(settings.log_level)
    web = create_app(channel, settings, logger=logger, metrics=frame.metrics)

    async def serve_rest(life: Life) -> None:
        async with rest.listening(web, settings.http_address, grace=BFF_GRACE):
            await life.last()

    return [serve_rest]


async def worker(frame: Frame) -> list[Part]:
    """Do background work alone."""
    settings = read(ServerSettings)
    parts = await _work(frame, settings)
    if not parts:
        raise Refusal("WORKER_DATABASE_URL is not set: background work has a role of its own.")
    if settings.metrics_address:
        host, _, port = settings.metrics_address.rpartition(":")
        shown, _ = start_http_server(int(port), host.strip("[]"), frame.metrics)
        frame.stack.callback(shown.shutdown)
    return parts


def run(
    kind: Kind,
    ending: Ending,
    *,
    output: TextIO = sys.stdout,
    ready: Callable[[], None] = lambda: None,
    beside: Sequence[Part] = (),
) -> None:
    """Run a kind of process until a request to end; a second one does not wait for anybody.

    Raises Refusal when it cannot start.
    """
    process.allow_files()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(_live(kind, ending, output, ready, beside))
        except asyncio.CancelledError:
            return


async def _live(
    kind: Kind,
    ending: Ending,
    output: TextIO,
    ready: Callable[[], None],
    beside: Sequence[Part],
) -> None:
    loop, stop, task = asyncio.get_running_loop(), asyncio.Event(), asyncio.current_task()

    def end() -> None:
        insisted = stop.is_set() and task is not None
        loop.call_soon_threadsafe(task.cancel if insisted and task else stop.set)

    with ending.serving(end):
        async with AsyncExitStack() as stack:
            frame = Frame(stack, output)
            stack.enter_context(libraries_heard(frame.logger("WARNING")))
            parts = await kind(frame)
            try:
                await _live_together([*parts, *beside], stop, ready)
            except BaseExceptionGroup as failures:
                raise failures.exceptions[0] from None


async def _live_together(
    parts: Sequence[Part], stop: asyncio.Event, ready: Callable[[], None]
) -> None:
    lives = [Life(stop) for _ in parts]
    async with asyncio.TaskGroup() as group:
        for part, life in zip(parts, lives, strict=True):
            group.create_task(_of(part, life))
        for life in lives:
            await life.up.wait()
        ready()


async def _of(part: Part, life: Life) -> None:
    await part(life)


async def _opened(frame: Frame, settings: ServerSettings) -> apps.App:
    dsn = settings.database_url.get_secret_value()
    if not dsn:
        raise Refusal("DATABASE_URL is not set: see .env.example, or start `carelane up`.")
    certificates.refuse_pair(settings.tls_cert_file, settings.tls_key_file)
    certificates.refuse_authority("TLS_CLIENT_CA_FILE", settings.tls_client_ca_file)
    logger = frame.logger(settings.log_level)
    with _database_said("DATABASE_URL"):
        opened = apps.opened(settings, logger=logger, metrics=frame.metrics)
        app = await frame.stack.enter_async_context(opened)
    await asyncio.to_thread(migrate.refuse_older, dsn)
    return app


def _grpc_part(app: apps.App) -> Part:
    async def serve_grpc(life: Life) -> None:
        try:
            async with grpc_server.listening(app):
                await life.last()
        except grpc_server.AddressTaken as taken:
            raise Refusal(f"{taken}.") from None

    return serve_grpc


async def _work(frame: Frame, settings: ServerSettings) -> list[Part]:
    """Answer the part that does background work: none without its own database role."""
    if not settings.worker_database_url.get_secret_value():
        return []
    with _database_said("WORKER_DATABASE_URL"):
        database = await frame.stack.enter_async_context(work.opened(settings))
    logger = frame.logger(settings.log_level)

    async def do_work(life: Life) -> None:
        life.up.set()
        await work.work(
            database, life.stop, settings=settings, logger=logger, metrics=frame.metrics
        )

    return [do_work]


@contextmanager
def _database_said(name: str) -> Iterator[None]:
    try:
        yield
    except Unavailable:
        raise Refusal(f"The database of {name} does not answer: see `carelane check`.") from None
