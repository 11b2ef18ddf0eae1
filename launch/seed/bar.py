"""Seeding with a progress bar."""

import asyncio

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from launch.seed.load import seed
from launch.seed.request import Outcome, Request


def run(owner_dsn: str, request: Request | None, console: Console | None) -> Outcome:
    """Seed the database; the bar counts doctors, for people only, and leaves nothing behind."""
    columns = (TextColumn("Seeding"), BarColumn(), MofNCompleteColumn(), TextColumn("doctors"))
    console = console or Console()
    bar = Progress(
        *columns,
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task("", visible=False)

        def advance(done: float, total: int) -> None:
            bar.update(task, completed=int(done), total=total, visible=True)

        return asyncio.run(seed(owner_dsn, request or Request(), advance))
