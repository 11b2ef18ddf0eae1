"""What a person sees: steps with their times, the welcome, one sentence when it cannot go on."""

from __future__ import annotations

import time
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Iterator


class Terminal:
    """A console that survives the closing of its window."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Show that something is under way, and then how long it took."""
        with self.timed(title), self.console.status(title) if self.alive else nullcontext():
            yield

    @contextmanager
    def timed(self, title: str) -> Iterator[None]:
        """Say how long something took that shows its own progress."""
        began = time.monotonic()
        yield
        self.say(f"[green]✓[/green] {title} [dim]{time.monotonic() - began:.1f} s[/dim]")

    @property
    def alive(self) -> bool:
        """True when somebody looks, so that movement makes sense."""
        return self.console.is_terminal and not self.console.quiet

    @property
    def canvas(self) -> Console:
        """Where a progress bar goes: nowhere, when nobody looks."""
        return self.console if self.alive else Console(quiet=True)

    def say(self, text: str) -> None:
        """Print; a closed terminal is no reason to leave processes behind."""
        try:
            self.console.print(text, soft_wrap=True)
        except OSError:
            self.console.quiet = True

    def rows(self, rows: list[tuple[str, str]]) -> None:
        """Print pairs in two columns."""
        width = max(len(left) for left, _ in rows)
        for left, right in rows:
            self.say(f"  [bold]{left:<{width}}[/bold]  {right}")
