"""A span of whole days, and the one before it to compare with."""

from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

DAY = timedelta(days=1)


class Period(NamedTuple):
    """The days from `first` to `last`, both included; as instants they are days of UTC."""

    first: date
    last: date

    @property
    def start(self) -> datetime:
        """The first instant."""
        return datetime.combine(self.first, time(), UTC)

    @property
    def end(self) -> datetime:
        """The first instant after it."""
        return datetime.combine(self.last + DAY, time(), UTC)

    @property
    def days(self) -> list[date]:
        """Every day, in order."""
        count = (self.last - self.first).days + 1
        return [self.first + number * DAY for number in range(count)]

    def before(self) -> "Period":
        """The period of the same length that ends the day before."""
        length = self.last - self.first + DAY
        return Period(self.first - length, self.last - length)


class Counts(NamedTuple):
    """A figure in a period and in the one before."""

    current: int
    previous: int
