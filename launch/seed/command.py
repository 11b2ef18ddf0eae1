"""The options of `carelane seed`, and what it does with them."""

# ruff: noqa: PLC0415 - the command's help is quick without what only a run needs

from datetime import UTC, datetime, time
from typing import Annotated

import typer
from rich.console import Console

import launch.seed
from launch.errors import Refusal
from launch.seed.request import DEFAULT_SEED, Request

NOON = time(6, 30, tzinfo=UTC)
"""The instant of a given day: noon in India, so that today holds past and coming visits."""

Doctors = Annotated[int | None, typer.Option(min=1, help="How many doctors.", show_default="2000")]
Clinics = Annotated[
    int | None, typer.Option(min=1, help="How many clinics.", show_default="3 for 20 doctors")
]
Patients = Annotated[
    int | None,
    typer.Option(min=1, help="How many patients.", show_default="5 for 2 doctors, at most 100000"),
]
Visits = Annotated[
    int | None,
    typer.Option(
        min=0, help="Past and coming ones.", show_default="10 for each doctor, at most 100000"
    ),
]
Number = Annotated[int, typer.Option("--seed", min=0, help="Another number, another world.")]
Day = Annotated[
    datetime | None,
    typer.Option("--date", formats=["%Y-%m-%d"], help="Its present day.", show_default="today"),
]
Only = Annotated[bool, typer.Option("--reference-only", help="No demo world.")]


def seed(
    owner_dsn: str,
    console: Console,
    *,
    doctors: Doctors = None,
    clinics: Clinics = None,
    patients: Patients = None,
    appointments: Visits = None,
    number: Number = DEFAULT_SEED,
    day: Day = None,
    reference_only: Only = False,
) -> None:
    """Carry out the command. Raises Refusal when it cannot be done."""
    from launch.seed.world import ImpossibleSize, Size

    sizes = (doctors, clinics, patients, appointments)
    try:
        size = None if sizes == (None,) * 4 else Size.of(doctors or 2_000, *sizes[1:])
    except ImpossibleSize as impossible:
        raise Refusal(str(impossible)) from impossible
    now = datetime.combine(day.date(), NOON) if day else None
    request = Request(size, number, now, reference_only)
    console.print(launch.seed.run(owner_dsn, request, console).sentence, soft_wrap=True)
