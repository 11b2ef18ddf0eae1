"""Attempts are counted, over Redis and without it, and a lost Redis fails nobody."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from launch.valkey import EmbeddedValkey
from server.auth.limits import Counters, Limit, Limits, network
from server.core.clock import MovableClock
from server.core.errors import ResourceExhausted
from server.core.log import logger

LOG = logger("CRITICAL")
LIMIT = Limit(3, timedelta(minutes=15))
NOBODY_LISTENS = "redis://127.0.0.1:1"


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedValkey]:
    server = EmbeddedValkey(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def redis(valkey: EmbeddedValkey) -> AsyncIterator[Redis]:
    client = Redis.from_url(valkey.url)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
async def lost_redis() -> AsyncIterator[Redis]:
    client = Redis.from_url(NOBODY_LISTENS)
    yield client
    await client.aclose()


@pytest.fixture(params=["redis", "no redis", "lost redis"])
async def limits(request: pytest.FixtureRequest, redis: Redis, lost_redis: Redis) -> Limits:
    clients = {"redis": redis, "no redis": None, "lost redis": lost_redis}
    return Limits(MovableClock(), LOG, clients[request.param])


async def allowed(limits: Limits, key: str, attempts: int) -> int:
    answers = await asyncio.gather(
        *(limits.take(key, LIMIT) for _ in range(attempts)), return_exceptions=True
    )
    assert all(answer is None or isinstance(answer, ResourceExhausted) for answer in answers)
    return answers.count(None)


async def test_attempts_at_once_are_counted_each(limits: Limits) -> None:
    assert await allowed(limits, "a", 10) == 3


async def test_one_key_leaves_another_alone(limits: Limits) -> None:
    await allowed(limits, "a", 10)
    assert await allowed(limits, "b", 1) == 1


async def test_an_honest_attempt_is_given_back(limits: Limits) -> None:
    for _ in range(10):
        await limits.take("a", LIMIT)
        await limits.give_back("a")


async def test_giving_back_never_earns_attempts(limits: Limits) -> None:
    await limits.give_back("a", "a", "a")
    assert await allowed(limits, "a", 10) == 3


async def test_a_refusal_says_when_the_window_closes(limits: Limits) -> None:
    await allowed(limits, "a", 3)
    with pytest.raises(ResourceExhausted) as refusal:
        await limits.take("a", LIMIT)
    assert refusal.value.retry_after is not None
    assert 890 < refusal.value.retry_after <= 900


async def test_two_processes_share_their_counters_through_redis(redis: Redis) -> None:
    one, other = Limits(MovableClock(), LOG, redis), Limits(MovableClock(), LOG, redis)
    assert await allowed(one, "a", 2) + await allowed(other, "a", 2) == 3


async def test_a_window_in_redis_closes_by_itself(redis: Redis) -> None:
    limits = Limits(MovableClock(), LOG, redis)
    await limits.take("a", LIMIT)
    await limits.take("a", LIMIT)
    (key,) = await redis.keys()
    assert 890_000 < await redis.pttl(key) <= 900_000


async def test_redis_holds_neither_addresses_nor_names(redis: Redis) -> None:
    await Limits(MovableClock(), LOG, redis).take("login:asha@mail.example", LIMIT)
    (key,) = await redis.keys()
    assert b"asha" not in key


async def test_a_hanging_redis_is_let_alone_for_a_while_and_then_asked_again(redis: Redis) -> None:
    clock = MovableClock()
    limits = Limits(clock, LOG, redis)
    await redis.client_pause(1000, all=True)
    assert await allowed(limits, "a", 2) == 2
    assert await allowed(limits, "a", 3) == 1
    await redis.flushall()  # answers when the pause is over
    assert await allowed(limits, "a", 1) == 0
    clock.advance(timedelta(seconds=6))
    assert await allowed(limits, "a", 5) == 3


async def test_a_window_in_memory_closes() -> None:
    clock = MovableClock()
    limits = Limits(clock, LOG)
    assert await allowed(limits, "a", 4) == 3
    clock.advance(timedelta(minutes=15))
    assert await allowed(limits, "a", 4) == 3


def test_memory_keeps_a_bounded_number_of_counters() -> None:
    counters = Counters(MovableClock(), size=10)
    for number in range(100):
        counters.take(str(number), LIMIT.window)
    assert len(counters._open) == 10
    assert counters.take("99", LIMIT.window).attempts == 2


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:bbbb::9", "2001:db8:1:2::/64"),
        ("", ""),
    ],
)
def test_a_subscriber_is_one_network(address: str, expected: str) -> None:
    assert network(address) == expected
