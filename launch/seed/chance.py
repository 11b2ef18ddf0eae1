"""Chance that repeats: every thing of the demo world is a function of the seed and its number.

Nothing depends on what was made before it, so that parts can be made alone, in any order, in
bounded memory, and a reference to a thing needs its number only.
"""

import random
from bisect import bisect
from collections.abc import Sequence
from datetime import datetime
from enum import IntEnum
from itertools import accumulate
from typing import Generic, TypeVar
from uuid import UUID

T = TypeVar("T")

_MASK = (1 << 62) - 1
_ODD = 0x1E3779B97F4A7C15
_VERSION_7 = 7 << 76
_VARIANT = 2 << 62


class Kind(IntEnum):
    """What a number counts; part of every made id."""

    STAFF = 1
    PATIENT = 2
    DOCTOR = 3
    CLINIC = 4
    PRACTICE = 5
    VISIT_TYPE = 6
    RULE = 7
    OVERRIDE = 8
    VERIFICATION = 9
    APPOINTMENT = 10
    TRANSACTION = 11
    NOTIFICATION = 12
    CLAIM = 13
    CHUNK = 14
    SPECIAL = 15
    DEPENDANT = 16
    GROUP = 17


class Chance:
    """Random choices and ids of one world."""

    def __init__(self, seed: int, epoch: datetime) -> None:
        self._seed = seed
        self._milliseconds = int(epoch.timestamp() * 1000)

    def of(self, kind: Kind, number: int) -> random.Random:
        """Return the randomness of one thing."""
        return random.Random((self._seed << 72) | (kind << 64) | number)  # noqa: S311 - no secrets

    def id(self, kind: Kind, number: int) -> UUID:
        """Make the version 7 UUID of one thing; ids of a kind sort by number."""
        spread = ((self._seed << 48) + number) * _ODD & _MASK
        time = self._milliseconds + number // 1000
        return UUID(int=time << 80 | _VERSION_7 | kind << 68 | _VARIANT | spread)


class Weighted(Generic[T]):
    """Choices of unequal weight."""

    def __init__(self, items: Sequence[T], weights: Sequence[float]) -> None:
        self.items = items
        self._bounds = list(accumulate(weights))

    def pick(self, rng: random.Random) -> T:
        return self.items[bisect(self._bounds, rng.random() * self._bounds[-1])]


def share(total: int, weights: Sequence[int]) -> list[int]:
    """Split a total by weights into whole numbers that add up to it."""
    bounds = list(accumulate(weights))
    ends = [total * bound // bounds[-1] for bound in bounds]
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]
