"""What to seed, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from launch.seed.world import Size

DEFAULT_SEED = 1


@dataclass(frozen=True, slots=True)
class Request:
    """What to seed; `size` None means the default, or whatever was begun here before.

    `now` is the instant around which the visits lie; None is the present hour.
    """

    size: Size | None = None
    seed: int = DEFAULT_SEED
    now: datetime | None = None
    reference_only: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether a world was loaded, and a sentence for people."""

    loaded: bool
    sentence: str
