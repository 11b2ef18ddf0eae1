"""How long it takes until each patient is called: rules and arithmetic, no database.

What is learned is the *pace*: how long consultations take as a share of their booked length, so
that visits of all types teach about each other. A wait is a sum of independent lengths, and of a
sum the first three cumulants are the sums of theirs; the quantiles come from those three
(Cornish and Fisher). That costs a few operations a patient, where convolving distributions costs
thousands.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from math import sqrt
from typing import NamedTuple

MINUTE = timedelta(minutes=1)
TODAY_COUNTS = 3.0
"""How many past consultations one of today stands for: a slow day stays slow."""
UNTAUGHT = (0.7, 1.0, 1.3)
"""The shares that a practice is taken to have shown before it has shown any."""
SHORTEST, LONGEST = 0.1, 4.0
"""Shares beyond are mistakes at the screen, such as a visit completed in the evening."""
OVERDUE = 0.2
"""The share that is left of a consultation that takes longer than any before."""
NORMAL_P90 = 1.2816
MOST_SKEW = 1.5
"""Beyond, the expansion would say more than it knows."""


class Length(NamedTuple):
    """A consultation that has ended: its booked and its real minutes."""

    booked: float
    took: float
    today: bool = False


@dataclass(frozen=True, slots=True)
class Spread:
    """A length of time that is not known: mean, variance and third cumulant, in minutes."""

    mean: float = 0.0
    variance: float = 0.0
    third: float = 0.0

    def __add__(self, other: "Spread") -> "Spread":
        return Spread(
            self.mean + other.mean, self.variance + other.variance, self.third + other.third
        )

    def times(self, factor: float) -> "Spread":
        """Answer the spread of the same length in another unit."""
        return Spread(self.mean * factor, self.variance * factor**2, self.third * factor**3)

    def not_before(self, minutes: float) -> "Spread":
        """Answer the spread of a moment that does not come before `minutes`."""
        return self if self.mean >= minutes else Spread(minutes)

    def quantiles(self, least: float = 0.0) -> tuple[float, float]:
        """Answer P50 and P90, neither below nothing nor below `least`."""
        least = max(0.0, least)
        if self.variance <= 0:
            return max(least, self.mean), max(least, self.mean)
        deviation = sqrt(self.variance)
        skew = max(-MOST_SKEW, min(self.third / deviation**3, MOST_SKEW))
        lean = deviation * skew / 6
        p50 = max(least, self.mean - lean)
        p90 = self.mean + NORMAL_P90 * deviation + (NORMAL_P90**2 - 1) * lean
        return p50, max(p50, p90)


@dataclass(frozen=True, slots=True)
class Pace:
    """Shares of the booked length that consultations took, each with its weight."""

    shares: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, lengths: Iterable[Length]) -> "Pace":
        """Learn from what was observed; without any, visits take what they are booked for."""
        learned = (
            (min(max(took / booked, SHORTEST), LONGEST), TODAY_COUNTS if today else 1.0)
            for booked, took, today in lengths
        )
        return cls((*((share, 1.0) for share in UNTAUGHT), *learned))

    def whole(self) -> Spread:
        """Answer the share that a consultation takes."""
        return _spread(self.shares)

    def rest(self, elapsed: float) -> Spread:
        """Answer the share that is left of a consultation after the share `elapsed`."""
        left = [(share - elapsed, weight) for share, weight in self.shares if share > elapsed]
        return _spread(left) if left else Spread(OVERDUE)


def _spread(shares: Sequence[tuple[float, float]]) -> Spread:
    total = sum(weight for _, weight in shares)
    mean = sum(share * weight for share, weight in shares) / total
    variance = sum((share - mean) ** 2 * weight for share, weight in shares) / total
    third = sum((share - mean) ** 3 * weight for share, weight in shares) / total
    return Spread(mean, variance, third)


class Late(NamedTuple):
    """That the doctor is `minutes` behind, said at `time`."""

    minutes: int
    time: datetime


class Place(NamedTuple):
    """A patient of the day: the booked start and minutes; `called` is None before the call."""

    state: str
    start: datetime
    booked: float
    called: datetime | None = None


class Wait(NamedTuple):
    """Minutes until a patient is called: as likely sooner as later, and nine times of ten."""

    p50: int
    p90: int


def expected_waits(
    now: datetime, places: Sequence[Place], pace: Pace, late: Late | None = None
) -> list[Wait | None]:
    """Answer for each of `places`, which are in the order of the queue, when it is called.

    None for those who were called already. Nobody is expected before who stands in front. Who
    waits is called when those in front are through, and that much later than now for which the
    doctor said to be late, until the next call shows that the waiting is over. Who is not there
    yet is not called before the booked time, moved by what the doctor is late for the day.
    """
    ahead = _with_the_doctor(now, places, pace) + Spread(_still_late(now, places, late))
    whole, day_late = pace.whole(), late.minutes if late else 0
    moments: list[tuple[float, float] | None] = []
    for place in places:
        if place.state not in {"waiting", "expected"}:
            moments.append(None)
            continue
        comes = (place.start - now) / MINUTE + day_late if place.state == "expected" else 0.0
        moments.append(ahead.quantiles(comes))
        ahead = ahead.not_before(comes) + whole.times(place.booked)
    return list(_in_order(moments))


def _with_the_doctor(now: datetime, places: Iterable[Place], pace: Pace) -> Spread:
    """Answer how long those take whom the doctor has called and who are not done."""
    rests = (
        pace.rest((now - place.called) / MINUTE / place.booked).times(place.booked)
        for place in places
        if place.state == "in_consultation" and place.called
    )
    return sum(rests, Spread())


def _still_late(now: datetime, places: Iterable[Place], late: Late | None) -> float:
    """Answer how many of the minutes that the doctor is late are still to come."""
    if late is None or any(place.called and place.called > late.time for place in places):
        return 0.0
    return max(0.0, late.minutes - (now - late.time) / MINUTE)


def _in_order(moments: Sequence[tuple[float, float] | None]) -> Iterator[Wait | None]:
    """Round, so that no wait is shorter than the one in front."""
    quantiles = [moment or (0.0, 0.0) for moment in moments]
    p50s = accumulate((p50 for p50, _ in quantiles), max)
    p90s = accumulate((p90 for _, p90 in quantiles), max)
    for moment, p50, p90 in zip(moments, p50s, p90s, strict=True):
        yield Wait(round(p50), round(p90)) if moment else None
