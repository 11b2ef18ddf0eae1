# ruff: noqa: PLC0415 - what takes a second to import waits until something can be seen
"""`carelane up`: the whole platform on one machine, from an empty folder to a stopped one."""

from __future__ import annotations

import asyncio
import errno
import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from launch import environment, ports, secret_file, welcome
from launch.errors import Refusal
from launch.folder import occupied
from launch.objects import BUCKET
from launch.seed.request import Request
from launch.services import Services
from launch.signals import Ending

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from launch.host import Life
    from launch.terminal import Terminal

WATCH_SECONDS = 0.5
# The services are stopped after the platform, and all of it has ten seconds.
STOP_SECONDS = "3"


@dataclass(frozen=True, slots=True)
class Options:
    """What `carelane up` may be asked."""

    folder: Path
    grpc_port: int = 50051
    rest_port: int = 8000
    service_ports: dict[str, int] = field(default_factory=dict)
    demo: Request = field(default_factory=Request)

    @property
    def grpc(self) -> str:
        """Where gRPC is served."""
        return f"127.0.0.1:{self.grpc_port}"

    @property
    def rest(self) -> str:
        """Where REST is served."""
        return f"http://127.0.0.1:{self.rest_port}"


def run(options: Options, terminal: Terminal) -> None:
    """Start everything, serve until asked to end, and stop everything.

    Raises Refusal when something stands in the way, and Interrupted when asked to end while
    still starting; nothing is left running in either case.
    """
    _refuse_production()
    _refuse_one_port_for_two(options)
    ending = Ending()
    with ending.watching(), occupied(options.folder, rest=options.rest, grpc=options.grpc):
        services = Services(options.folder, **options.service_ports)
        try:
            with _full_disk_said(options.folder):
                _start(services, options, terminal)
                _fill(services.postgres.owner_dsn, options.demo, terminal)
                _serve(services, options, terminal, ending)
        finally:
            ending.stopping()
            _stop(services, options, terminal)


def _stop(services: Services, options: Options, terminal: Terminal) -> None:
    environment.forget(options.folder)
    if not any(service.pid for service in services):
        services.stop()
        return
    with terminal.step("Stopping"):
        services.stop()


def _refuse_production() -> None:
    environment.load_file()
    if os.environ.get("ENVIRONMENT") == "production":
        raise Refusal(
            "`carelane up` embeds its database and is not for production: use `carelane serve`, "
            "as docs/runbook.md says."
        )


def _refuse_one_port_for_two(options: Options) -> None:
    ports_given = [options.rest_port, options.grpc_port, *options.service_ports.values()]
    for port in filter(None, ports_given):
        if ports_given.count(port) > 1:
            raise Refusal(f"Port {port} is asked for twice: give each service one of its own.")


def _start(services: Services, options: Options, terminal: Terminal) -> None:
    if services.stop_orphans():
        terminal.say("Stopped what an earlier run had left behind.")
    services.refuse_taken_ports()
    ports.refuse_taken("127.0.0.1", options.grpc_port, purpose="gRPC", setting="--grpc-port")
    ports.refuse_taken("127.0.0.1", options.rest_port, purpose="REST", setting="--rest-port")
    for service in services:
        with terminal.step(f"{service.name} starts"):
            service.start()
    settings = _settings(services, options)
    environment.save(options.folder, settings)
    os.environ.update(settings)


def _fill(owner_dsn: str, demo: Request, terminal: Terminal) -> None:
    with terminal.step("Server and tools load"):
        from launch import host, migrate, seed  # noqa: F401 - the server is for later
        from launch.seed import factors
        from launch.settings import read
        from server.settings import Settings

    pending = migrate.state(owner_dsn).pending
    if pending:
        with terminal.step(f"Database moves up to {pending[-1]}"):
            migrate.upgrade(owner_dsn)
    with terminal.timed("Demo data"):
        outcome = seed.run(owner_dsn, demo, terminal.canvas)
    if outcome.loaded:
        terminal.say(f"  {outcome.sentence}")
    if not demo.reference_only:
        factors.put(owner_dsn, read(Settings).keys_of_factors)


def _serve(services: Services, options: Options, terminal: Terminal, ending: Ending) -> None:
    from launch import host

    def ready() -> None:
        demo = not options.demo.reference_only
        welcome.show(
            terminal, rest=options.rest, grpc=options.grpc, folder=options.folder, demo=demo
        )

    async def keep_alive(life: Life) -> None:
        life.up.set()
        while not await _ends_within(life.stop, WATCH_SECONDS):
            for service in services.ended():
                service.start()
                terminal.say(f"{service.name} ended by itself and was started again.")

    with (options.folder / "carelane.log").open("a") as log:
        host.run(host.everything, ending, output=log, ready=ready, beside=[keep_alive])


async def _ends_within(stop: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await stop.wait()
    except TimeoutError:
        return False


def _settings(services: Services, options: Options) -> dict[str, str]:
    """Return the environment variables that join the platform to these services."""
    return {
        "DATABASE_URL": services.postgres.app_dsn,
        "WORKER_DATABASE_URL": services.postgres.worker_dsn,
        "MIGRATE_DATABASE_URL": services.postgres.owner_dsn,
        "REDIS_URL": services.valkey.url,
        "S3_ENDPOINT_URL": services.objects.url,
        "S3_BUCKET": BUCKET,
        "S3_ACCESS_KEY_ID": services.objects.access_key,
        "S3_SECRET_ACCESS_KEY": services.objects.secret_key,
        "GRPC_ADDRESS": options.grpc,
        "HTTP_ADDRESS": options.rest.removeprefix("http://"),
        "SECRET_KEYS": secret_file.credentials(options.folder / "keys.json", ["token"])["token"],
        "COOKIE_KEYS": secret_file.credentials(options.folder / "cookies.json", ["key"])["key"],
        "INSECURE_COOKIES": os.environ.get("INSECURE_COOKIES") or "true",
        "MAIL_FOLDER": str(options.folder / "mail"),
        "REQUIRE_SECOND_FACTOR": os.environ.get("REQUIRE_SECOND_FACTOR") or "true",
        "STOP_SECONDS": STOP_SECONDS,
        "EMBEDDED_SERVICES": "true",
    }


@contextmanager
def _full_disk_said(folder: Path) -> Iterator[None]:
    """Turn "no space left on device", from wherever it comes, into a sentence."""
    try:
        yield
    except OSError as failure:
        if failure.errno != errno.ENOSPC:
            raise
        raise Refusal(
            f"The disk of {folder} is full: make room and start again; nothing that was "
            "confirmed is lost."
        ) from failure
