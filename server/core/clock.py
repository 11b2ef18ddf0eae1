"""The one source of the present time; everything that asks for it is given a clock."""

from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """A clock that may run ahead of or behind the machine's by `offset`."""

    @property
    def offset(self) -> timedelta:
        """How far the clock is from the machine's; added to the database's time as well."""

    def now(self) -> datetime:
        """Answer the present instant, aware and in UTC."""


class SystemClock:
    """The machine's clock."""

    offset = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC)


class MovableClock:
    """A clock for tests and the sandbox: it runs, and can be moved."""

    def __init__(self, offset: timedelta = timedelta(0)) -> None:
        self.offset = offset

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def advance(self, step: timedelta) -> None:
        """Move the clock by `step`, back when it is negative."""
        self.offset += step

    def set(self, instant: datetime) -> None:
        """Make `instant` the present; it must be aware."""
        self.offset = instant - datetime.now(UTC)
