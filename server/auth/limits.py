"""How often something may be tried: counters in Redis, or in this process when Redis is away.

A counter is taken *before* the attempt and given back when the attempt was honest, so that many
attempts at once cannot slip past. Losing Redis makes counters start again and count per process;
it never refuses and never fails a call.
"""

import asyncio
import hashlib
import ipaddress
import math
from collections import OrderedDict
from datetime import datetime, timedelta
from typing import NamedTuple

from redis.asyncio import Redis
from redis.exceptions import RedisError

from server.core.clock import Clock
from server.core.errors import ResourceExhausted
from server.core.log import Logger

MAX_COUNTERS = 100_000
PATIENCE = 0.25
RETRY = timedelta(seconds=5)
TAKE = """
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return {count, redis.call('PTTL', KEYS[1])}
"""
GIVE_BACK = """
if tonumber(redis.call('GET', KEYS[1]) or '0') > 0 then redis.call('DECR', KEYS[1]) end
"""


class Limit(NamedTuple):
    """So many attempts in a window that opens with the first of them."""

    attempts: int
    window: timedelta


class Taken(NamedTuple):
    """How many attempts the window has seen with this one, and the seconds until it closes."""

    attempts: int
    remaining: float


class Limits:
    """Counts attempts by key and refuses those over a limit."""

    def __init__(self, clock: Clock, logger: Logger, redis: Redis | None = None) -> None:
        self._clock = clock
        self._log = logger
        self._redis = redis
        self._redis_away_until: datetime | None = None
        self._counters = Counters(clock)

    async def take(self, key: str, limit: Limit) -> None:
        """Count an attempt; raise ResourceExhausted, saying when to come back, over the limit."""
        taken = await self._take(_name(key), limit.window)
        if taken.attempts > limit.attempts:
            seconds = max(1, math.ceil(taken.remaining))
            raise ResourceExhausted(
                f"Too many attempts; try again in {math.ceil(seconds / 60)} min.",
                retry_after=seconds,
            )

    async def give_back(self, *keys: str) -> None:
        """Uncount an attempt that turned out honest."""
        for name in map(_name, keys):
            self._counters.give_back(name)
            await self._ask_redis(GIVE_BACK, name)

    async def _take(self, name: str, window: timedelta) -> Taken:
        answer = await self._ask_redis(TAKE, name, int(window.total_seconds() * 1000))
        if isinstance(answer, list):
            return Taken(int(answer[0]), int(answer[1]) / 1000)
        return self._counters.take(name, window)

    async def _ask_redis(self, script: str, *args: str | int) -> object:
        """Run a script of one key; answer None without Redis, which is then let alone for 5 s."""
        now = self._clock.now()
        if self._redis is None or (self._redis_away_until and now < self._redis_away_until):
            return None
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._redis.eval(script, 1, *args)
        except (RedisError, OSError, TimeoutError) as error:
            self._redis_away_until = now + RETRY
            self._log.warning("limits.redis_away", error=type(error).__name__)
            return None


class Counters:
    """Counters of this process, at most 100,000; the oldest window goes first."""

    def __init__(self, clock: Clock, size: int = MAX_COUNTERS) -> None:
        self._clock = clock
        self._size = size
        self._open: OrderedDict[str, tuple[int, datetime]] = OrderedDict()

    def take(self, name: str, window: timedelta) -> Taken:
        now = self._clock.now()
        count, close_time = self._open.get(name, (0, now))
        if close_time <= now:
            self._open.pop(name, None)
            count, close_time = 0, now + window
        self._open[name] = (count + 1, close_time)
        if len(self._open) > self._size:
            self._open.popitem(last=False)
        return Taken(count + 1, (close_time - now).total_seconds())

    def give_back(self, name: str) -> None:
        if name in self._open:
            count, close_time = self._open[name]
            self._open[name] = (max(0, count - 1), close_time)


def network(address: str) -> str:
    """Answer what one subscriber holds of an address: the IPv4 address, or the IPv6 /64 network.

    What is no address (a socket, an unknown peer) is its own network.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        mapped = parsed.ipv4_mapped
        return str(mapped or ipaddress.ip_network((int(parsed), 64), strict=False))
    return str(parsed)


def _name(key: str) -> str:
    """Name the counter without the e-mail or address that the key holds."""
    return "limit:" + hashlib.sha256(key.encode()).hexdigest()[:32]
