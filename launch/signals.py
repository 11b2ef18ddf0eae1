"""Ctrl-C, SIGTERM and a closed terminal: what each means while starting, serving and stopping."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A person or the system asked to end while something synchronous was under way."""


class Ending:
    """Counts the requests to end, and passes each on to whoever acts on it at the time.

    While starting a request raises `Interrupted`; while serving it calls what `serving` was given;
    while stopping it is only counted, since the stop is bounded anyway.
    """

    def __init__(self) -> None:
        self.requests = 0
        self._act: Callable[[], None] = _interrupt

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Take over the signals, and give them back afterwards."""
        before = {number: signal.signal(number, self._on_signal) for number in _heard()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def serving(self, act: Callable[[], None]) -> Iterator[None]:
        """Call `act` for each request, and once at the start when one has come before."""
        self._act = act
        if self.requests:
            act()
        try:
            yield
        finally:
            self._act = _nothing

    def stopping(self) -> None:
        """From now on only count."""
        self._act = _nothing

    def _on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - given
        self.requests += 1
        self._act()


def _heard() -> list[signal.Signals]:
    """Leave out the closing of the terminal when `nohup` says that it should not matter."""
    deaf = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [number for number in ENDING if not (deaf and number is signal.SIGHUP)]


def _interrupt() -> None:
    raise Interrupted


def _nothing() -> None:
    return
