"""Expected waits: what must hold for every queue, and how well they tell."""

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.queue.waits import Late, Length, Pace, Place, Wait, expected_waits

NOW = datetime(2026, 7, 3, 5, 0, tzinfo=UTC)

lengths = st.lists(
    st.builds(
        Length,
        booked=st.integers(5, 120),
        took=st.floats(0, 600),
        today=st.booleans(),
    ),
    max_size=40,
)
starts = st.integers(-300, 300).map(lambda minutes: NOW + timedelta(minutes=minutes))
booked = st.integers(5, 120)
waiting = st.builds(Place, st.just("waiting"), starts, booked, st.none())
coming = st.builds(Place, st.just("expected"), starts, booked, st.none())
called = st.builds(
    Place,
    st.just("in_consultation"),
    starts,
    booked,
    st.integers(0, 400).map(lambda minutes: NOW - timedelta(minutes=minutes)),
)
queues = st.tuples(
    st.lists(called, max_size=2), st.lists(waiting, max_size=8), st.lists(coming, max_size=8)
).map(lambda parts: [*parts[0], *parts[1], *sorted(parts[2], key=lambda place: place.start)])
lates = st.none() | st.builds(
    Late,
    minutes=st.integers(0, 240),
    time=st.integers(0, 300).map(lambda minutes: NOW - timedelta(minutes=minutes)),
)


def place(state: str = "waiting", *, start: int = 0, booked: int = 30) -> Place:
    """Make a place; one in consultation was called at its start, `start` minutes from now."""
    begin = NOW + timedelta(minutes=start)
    return Place(state, begin, booked, begin if state == "in_consultation" else None)


def waits(
    places: list[Place], history: list[Length] | None = None, late: Late | None = None
) -> list[Wait | None]:
    return expected_waits(NOW, places, Pace.of(history or []), late)


def certain(places: list[Place], history: list[Length], late: Late | None = None) -> list[Wait]:
    return [wait for wait in waits(places, history, late) if wait]


@given(queues, lengths, lates)
def test_a_wait_is_told_to_those_who_are_still_to_be_called(
    queue: list[Place], history: list[Length], late: Late | None
) -> None:
    told = waits(queue, history, late)
    assert [wait is None for wait in told] == [bool(place.called) for place in queue]


@given(queues, lengths, lates)
def test_nine_of_ten_is_not_sooner_than_half_and_nothing_is_before_now(
    queue: list[Place], history: list[Length], late: Late | None
) -> None:
    for wait in certain(queue, history, late):
        assert 0 <= wait.p50 <= wait.p90


@given(queues, lengths, lates)
def test_nobody_is_expected_before_who_stands_in_front(
    queue: list[Place], history: list[Length], late: Late | None
) -> None:
    for front, behind in pairwise(certain(queue, history, late)):
        assert front.p50 <= behind.p50
        assert front.p90 <= behind.p90


@given(queues, lengths, st.integers(0, 120), st.integers(0, 120))
def test_who_is_more_late_is_not_expected_sooner(
    queue: list[Place], history: list[Length], less: int, more: int
) -> None:
    first = certain(queue, history, Late(less, NOW))
    second = certain(queue, history, Late(less + more, NOW))
    for before, after in zip(first, second, strict=True):
        assert before.p50 <= after.p50


@given(st.lists(waiting, min_size=1, max_size=8), lengths, st.integers(0, 240))
def test_being_late_moves_all_who_wait_by_as_much(
    queue: list[Place], history: list[Length], minutes: int
) -> None:
    before, after = certain(queue, history), certain(queue, history, Late(minutes, NOW))
    for first, second in zip(before, after, strict=True):
        assert abs(second.p50 - first.p50 - minutes) <= 1
        assert abs(second.p90 - first.p90 - minutes) <= 1


@given(st.lists(coming, min_size=1, max_size=8), lengths, lates)
def test_nobody_who_is_not_there_is_expected_before_the_booked_time(
    queue: list[Place], history: list[Length], late: Late | None
) -> None:
    shift = late.minutes if late else 0
    for each, wait in zip(queue, certain(queue, history, late), strict=True):
        assert wait.p50 >= round((each.start - NOW) / timedelta(minutes=1)) + shift


@given(queues, lengths, waiting)
def test_one_more_in_front_makes_nobody_s_wait_shorter(
    queue: list[Place], history: list[Length], one: Place
) -> None:
    told = certain(queue, history)
    for before, after in zip(told, certain([one, *queue], history)[1:], strict=True):
        assert after.p90 >= before.p90 - 1


def test_without_history_a_visit_takes_what_it_is_booked_for() -> None:
    first, second, third = certain([place(booked=20), place(booked=40), place()], [])
    assert (first.p50, second.p50, third.p50) == (0, 20, 60)
    assert first.p90 == 0
    assert 20 < second.p90 < 40


def test_a_consultation_that_goes_on_takes_the_rest_of_its_time() -> None:
    _, wait = waits([place("in_consultation", start=-10), place()])
    assert wait is not None
    assert wait.p50 == pytest.approx(20, abs=1)


def test_a_consultation_longer_than_any_before_ends_soon() -> None:
    _, wait = waits([place("in_consultation", start=-500), place()])
    assert wait is not None
    assert wait.p50 == 6


def test_what_was_observed_counts_more_the_more_it_is() -> None:
    queue = [place(), place()]
    told = [certain(queue, [Length(30, 60)] * count)[1].p50 for count in (0, 3, 30, 300)]
    assert told[0] == 30
    assert told == sorted(told)
    assert told[-1] == pytest.approx(60, abs=1)


def test_today_counts_more_than_the_past() -> None:
    past = [Length(30, 30)] * 20
    slow = certain([place(), place()], [*past, *[Length(30, 60, today=True)] * 5])
    slow_before = certain([place(), place()], [*past, *[Length(30, 60)] * 5])
    assert slow[1].p50 > slow_before[1].p50


def test_short_visits_teach_about_long_ones() -> None:
    wait = certain([place(booked=60), place()], [Length(10, 20)] * 300)[1]
    assert wait.p50 == pytest.approx(120, abs=2)


def test_a_visit_that_was_completed_in_the_evening_does_not_spoil_the_day() -> None:
    history = [*[Length(30, 30)] * 30, Length(30, 600)]
    assert certain([place(), place()], history)[1].p50 < 40


def test_being_late_is_used_up_as_time_goes_by_and_is_over_with_the_next_call() -> None:
    queue = [place()]
    assert certain(queue, [], Late(30, NOW - timedelta(minutes=20)))[0].p50 == 10
    assert certain(queue, [], Late(30, NOW - timedelta(minutes=40)))[0].p50 == 0
    here = place("in_consultation", start=-1)
    said_before = certain([here, *queue], [], Late(60, NOW - timedelta(minutes=10)))
    assert said_before == certain([here, *queue], [])


def test_half_are_called_before_p50_and_nine_of_ten_before_p90() -> None:
    """Draw skewed lengths, teach with some of them, and count how the others compare."""
    chance = random.Random(7)  # noqa: S311 - no secret

    def took() -> float:
        return 20 * chance.lognormvariate(0, 0.5)

    below: dict[int, list[int]] = {1: [0, 0], 4: [0, 0], 10: [0, 0]}
    rounds = 400
    for _ in range(rounds):
        history = [Length(20, took()) for _ in range(60)]
        told = certain([place(booked=20) for _ in range(11)], history)
        ends = [took() for _ in range(10)]
        for ahead, counts in below.items():
            real = sum(ends[:ahead])
            counts[0] += real <= told[ahead].p50
            counts[1] += real <= told[ahead].p90
    for half, most in below.values():
        assert 0.4 <= half / rounds <= 0.6
        assert 0.84 <= most / rounds <= 0.96
