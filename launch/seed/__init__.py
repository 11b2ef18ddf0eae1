"""Reference data, and a demo world that is the same for the same seed and day.

`run` is what the launcher calls; `carelane seed` takes its options from `launch.seed.command`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch.seed.request import Outcome, Request

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Outcome", "Request", "run"]


def run(owner_dsn: str, request: Request | None = None, console: Console | None = None) -> Outcome:
    """Seed the database, with a bar on the console; see `launch.seed.load.seed`.

    Repeating it changes nothing and takes half a second; `Outcome.sentence` says what was done.
    """
    from launch.seed import bar  # noqa: PLC0415 - the command's help is quick without it

    return bar.run(owner_dsn, request, console)
