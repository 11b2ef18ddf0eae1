"""When doctors see patients: weeks of opening windows that never overlap between clinics."""

import random
from dataclasses import dataclass

WORKDAYS = range(1, 6)
SIX_DAYS = range(1, 7)
EVERY_DAY = range(1, 8)


@dataclass(frozen=True, slots=True)
class Window:
    """An opening on an ISO weekday (1 is Monday), in minutes of the local day."""

    weekday: int
    start: int
    end: int


def windows(weekdays: range | tuple[int, ...], start: int, end: int) -> list[Window]:
    return [Window(weekday, start, end) for weekday in weekdays]


def week(rng: random.Random, clinics: int) -> list[list[Window]]:
    """Make the windows of each of one to three clinics.

    Mornings end by 14:00 and evenings start at 16:00 or later, so that no two touch.
    """
    morning = 540 + 30 * rng.randrange(4)
    evening = 960 + 30 * rng.randrange(4)
    noon, night = morning + rng.choice((180, 210)), evening + rng.choice((150, 180))
    if clinics == 1:
        return [alone(rng, morning, evening)]
    if clinics == 2:
        return [windows(SIX_DAYS, morning, noon), windows((1, 3, 5), evening, night)]
    return [
        windows((1, 3, 5), morning, noon),
        windows((2, 4, 6), morning, noon),
        windows((1, 2, 4), evening, night),
    ]


def alone(rng: random.Random, morning: int, evening: int) -> list[Window]:
    """Make the week of a doctor with one clinic: mornings, whole days, or both ends of the day."""
    kind = rng.randrange(3)
    if kind == 0:
        return windows(SIX_DAYS, morning, morning + 210)
    if kind == 1:
        return windows(WORKDAYS, morning, morning + 450)
    return windows(WORKDAYS, morning, morning + 180) + windows((1, 3, 5), evening, evening + 180)


def demo_week() -> list[list[Window]]:
    """Every morning at the demo clinic, so that today always has visits; evenings elsewhere."""
    return [windows(EVERY_DAY, 540, 780), windows((2, 4), 1020, 1200)]


def starts(window: Window, minutes: int) -> range:
    """List the minutes of the day at which visits of that length start, on the hour's grid."""
    first = -(-window.start // minutes) * minutes
    return range(first, window.end - minutes + 1, minutes)
