# ruff: noqa: PLC0415 - commands import what they need when they run, so that help is quick
"""The `carelane` command."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.markup import escape

from launch import environment
from launch.errors import Refusal
from launch.seed.command import Clinics, Day, Doctors, Number, Only, Patients, Visits
from launch.seed.command import seed as seed_database
from launch.signals import Interrupted
from launch.terminal import Terminal

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Carelane: find a doctor, book a visit, run a clinic.",
    epilog="Settings are environment variables, also read from .env; .env.example explains each.",
)
audit = typer.Typer(no_args_is_help=True, help="The audit: whether it is what was sealed.")
HERE = "On this machine"
PARTS = "With your own services"
DATA = "Data and settings"

app.add_typer(audit, name="audit", rich_help_panel=DATA)

RestPort = Annotated[
    int | None,
    typer.Option(
        min=1, max=65535, help="Else the one of HTTP_ADDRESS, else 8000.", show_default=False
    ),
]
GrpcPort = Annotated[
    int | None,
    typer.Option(
        min=1, max=65535, help="Else the one of GRPC_ADDRESS, else 50051.", show_default=False
    ),
]
AnyPort = Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")]
Folder = Annotated[Path, typer.Option(help="Where data is kept.", envvar="CARELANE_FOLDER")]


@app.callback()
def read_file() -> None:
    # Before the options of a command, which may be set in it.
    environment.load_file()


@app.command(rich_help_panel=HERE)
def up(
    folder: Folder = environment.FOLDER,
    rest_port: RestPort = None,
    grpc_port: GrpcPort = None,
    postgres_port: AnyPort = 0,
    valkey_port: AnyPort = 0,
    objects_port: AnyPort = 0,
    doctors: Annotated[int, typer.Option(min=0, help="Size of the demo world; 0 for none.")] = 2000,
) -> None:
    """Start everything: PostgreSQL, Valkey, S3, gRPC and REST, with demo data. Ctrl-C stops it."""
    with _one_sentence() as terminal:
        from launch import up as whole
        from launch.seed.request import Request
        from launch.seed.world import Size

        service_ports = {
            "postgres_port": postgres_port,
            "valkey_port": valkey_port,
            "objects_port": objects_port,
        }
        size = Size.of(doctors) if doctors not in {0, Size().doctors} else None
        demo = Request(size, reference_only=doctors == 0)
        grpc_port = grpc_port or environment.port_of("GRPC_ADDRESS", 50051)
        rest_port = rest_port or environment.port_of("HTTP_ADDRESS", 8000)
        options = whole.Options(folder.resolve(), grpc_port, rest_port, service_ports, demo)
        whole.run(options, terminal)


@app.command(rich_help_panel=HERE)
def totp(
    secret: Annotated[str, typer.Argument(help="What the app was given, in base32.")],
) -> None:
    """Print what an authenticator app shows now, for its secret."""
    with _one_sentence() as terminal:
        from server.factor import totp as codes

        try:
            terminal.say(codes.code(secret, datetime.now(UTC)))
        except ValueError:
            raise Refusal(
                "The secret is none: base32 of 23 letters and digits 2 to 7 or more."
            ) from None


@app.command(rich_help_panel=PARTS)
def serve() -> None:
    """Serve gRPC and REST from one process, joined without a network; runs background jobs too."""
    _host("everything")


@app.command(rich_help_panel=PARTS)
def server() -> None:
    """Serve gRPC alone."""
    _host("server")


@app.command(rich_help_panel=PARTS)
def bff() -> None:
    """Serve REST alone, joined by gRPC to GRPC_TARGET."""
    _host("bff")


@app.command(rich_help_panel=PARTS)
def worker() -> None:
    """Run background jobs alone; any number of workers share the work."""
    _host("worker")


@app.command(rich_help_panel=DATA)
def migrate(
    revision: Annotated[str, typer.Argument(help="Where to stop.")] = "head",
    down: Annotated[bool, typer.Option("--down", help="Go back to REVISION; drops data.")] = False,
) -> None:
    """Bring the database of MIGRATE_DATABASE_URL to the newest schema."""
    with _one_sentence() as terminal:
        from launch import migrate as schema

        environment.load()
        owner = _needed("MIGRATE_DATABASE_URL")
        before = schema.state(owner)
        with terminal.step(f"Migrating from {before.revision or 'an empty database'}"):
            (schema.downgrade if down else schema.upgrade)(owner, revision)
        terminal.say(f"The schema is at {schema.state(owner).revision or 'nothing'}.")


@app.command(rich_help_panel=DATA)
def seed(
    doctors: Doctors = None,
    clinics: Clinics = None,
    patients: Patients = None,
    appointments: Visits = None,
    number: Number = 1,
    day: Day = None,
    reference_only: Only = False,
) -> None:
    """Load reference data, and a demo world once; a million doctors take minutes."""
    with _one_sentence() as terminal:
        environment.load()
        seed_database(
            _needed("MIGRATE_DATABASE_URL"),
            terminal.console,
            doctors=doctors,
            clinics=clinics,
            patients=patients,
            appointments=appointments,
            number=number,
            day=day,
            reference_only=reference_only,
        )


@app.command(rich_help_panel=DATA)
def check() -> None:
    """Look at settings and connections; say what is wrong and how to mend it."""
    with _one_sentence() as terminal:
        from launch import checks

        terminal.say(f"Settings from {environment.load()}.")
        findings = asyncio.run(checks.run(os.environ))
        for found in findings:
            mark = "[green]✓[/green]" if found.well else "[red]✗[/red]"
            terminal.say(f"{mark} [bold]{found.subject}[/bold] {escape(found.text)}")
            if not found.well:
                terminal.say(f"    → {escape(found.mend)}")
    if not all(found.well for found in findings):
        raise typer.Exit(1)


@audit.command()
def verify(
    clinic: Annotated[
        UUID | None, typer.Option(help="The chain of one clinic; zeros for the platform's.")
    ] = None,
) -> None:
    """Walk the chains of the audit; name the first row of each that is not what was sealed."""
    with _one_sentence() as terminal:
        from launch import audit as chains
        from launch.settings import read
        from server.settings import Settings

        environment.load()
        _needed("WORKER_DATABASE_URL")
        settings = read(Settings)
        outside = chains.copied(settings)
        report = asyncio.run(chains.walk(settings, outside, only=clinic))
        for sentence in chains.sentences(report, outside):
            terminal.say(sentence)
    if not chains.is_whole(report, outside):
        raise typer.Exit(1)


def _host(kind: str) -> None:
    with _one_sentence():
        from launch import host
        from launch.signals import Ending

        environment.load()
        ending = Ending()
        with ending.watching():
            host.run(getattr(host, kind), ending)


def _needed(name: str) -> str:
    if not os.environ.get(name):
        raise Refusal(f"{name} is not set: see .env.example, or start `carelane up`.")
    return os.environ[name]


@contextmanager
def _one_sentence() -> Iterator[Terminal]:
    """Give a terminal; say a refusal in one sentence, without a traceback, and exit with 1."""
    try:
        yield Terminal()
    except Refusal as refusal:
        raise _said(str(refusal)) from None
    except OSError as failure:
        if failure.filename is None:
            raise
        raise _said(f"{failure.filename}: {failure.strerror}.") from None
    except (Interrupted, KeyboardInterrupt):
        raise typer.Exit(130) from None


def _said(sentence: str) -> typer.Exit:
    Console(stderr=True, highlight=False).print("[red]✗[/red]", escape(sentence), soft_wrap=True)
    return typer.Exit(1)
