"""Ids made by the application, where one statement writes several tables."""

import secrets
from datetime import datetime
from uuid import UUID


def new_id(now: datetime) -> UUID:
    """Make a version 7 UUID: the milliseconds of `now`, then chance."""
    chance = secrets.randbits(74)
    time_and_version = (int(now.timestamp() * 1000) << 16) | (0x7 << 12) | (chance >> 62)
    return UUID(int=(time_and_version << 64) | (0b10 << 62) | (chance & (2**62 - 1)))
