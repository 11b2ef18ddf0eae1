"""What a person sees: steps with their times, the welcome, one sentence when it cannot go on."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, TextIO, cast

from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Iterator


class LastingOutput:
    """A stream that nobody may read any more: a closed terminal or pipe stops no work."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.encoding = stream.encoding

    def write(self, text: str) -> int:
        """Write, and let go of the stream when that fails."""
        try:
            self._stream.write(text)
        except OSError:
            self._let_go()
        return len(text)

    def flush(self) -> None:
        """Flush, and let go of the stream when that fails."""
        try:
            self._stream.flush()
        except OSError:
            self._let_go()

    def isatty(self) -> bool:
        """Say whether somebody may be looking."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """Return the stream's descriptor."""
        return self._stream.fileno()

    def _let_go(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)


class Terminal:
    """Where a person follows what happens."""

    def __init__(self, stream: TextIO | None = None) -> None:
        lasting = cast("TextIO", LastingOutput(stream or sys.stdout))
        self.console = Console(file=lasting, highlight=False)

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
        return self.console.is_terminal

    @property
    def canvas(self) -> Console:
        """Where a progress bar goes: nowhere, when nobody looks."""
        return self.console if self.alive else Console(quiet=True)

    def say(self, text: str) -> None:
        """Print a line with rich's markup."""
        self.console.print(text, soft_wrap=True)

    def rows(self, rows: list[tuple[str, str]]) -> None:
        """Print pairs in two columns."""
        width = max(len(left) for left, _ in rows)
        for left, right in rows:
            self.say(f"  [bold]{left:<{width}}[/bold]  {right}")
