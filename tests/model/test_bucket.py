"""A rate, whatever is asked of it and when."""

from hypothesis import given
from hypothesis import strategies as st

from postlude.model.bucket import Bucket

EVERY = st.integers(1, 50)
BURST = st.integers(1, 6)
MOMENTS = st.lists(st.integers(0, 400), min_size=1, max_size=40).map(sorted)


@given(EVERY, BURST, MOMENTS)
def test_in_no_time_do_more_start_than_the_rate_says(every: int, burst: int, moments: list[int]) -> None:
    bucket = Bucket(every, burst)
    started = [moment for moment in moments if bucket.take(moment)]
    for place, first in enumerate(started):
        for more, last in enumerate(started[place:], 1):
            assert more <= burst + (last - first) // every


@given(EVERY, BURST, MOMENTS)
def test_one_may_start_where_the_rate_lets_it(every: int, burst: int, moments: list[int]) -> None:
    bucket = Bucket(every, burst)
    last = -every * burst
    for moment in moments:
        rested = moment - last >= every
        if bucket.take(moment):
            last = moment
        else:
            assert not rested


@given(EVERY, BURST, MOMENTS)
def test_how_many_may_and_when_the_next_may_agree(every: int, burst: int, moments: list[int]) -> None:
    bucket = Bucket(every, burst)
    for moment in moments:
        allowed = bucket.allowed(moment)
        assert (allowed > 0) == (bucket.first(moment) == moment)
        assert Bucket(every, burst, bucket.full).allowed(bucket.first(moment)) > 0
        other = Bucket(every, burst, bucket.full)
        assert [other.take(moment) for _ in range(allowed + 1)] == [True] * allowed + [False]
        bucket.take(moment)


@given(EVERY, BURST, st.integers(1, 10))
def test_turns_come_one_after_another_and_can_be_taken(every: int, burst: int, waiting: int) -> None:
    bucket = Bucket(every, burst)
    while bucket.take(0):
        pass
    turns = [bucket.turn(0) for _ in range(waiting)]
    assert turns == list(range(turns[0], turns[0] + waiting * every, every))
    assert [bucket.take(turn) for turn in turns] == [True] * waiting


@given(EVERY, BURST, st.integers(0, 300), st.integers(0, 300))
def test_a_clock_that_is_set_back_makes_nobody_wait_longer_than_the_burst_takes(
    every: int, burst: int, before: int, now: int
) -> None:
    bucket = Bucket(every, burst)
    while bucket.take(before):
        pass
    owed = bucket.full
    assert bucket.first(now) <= now + every
    assert bucket.set_back(now) == (owed > now + burst * every)
    assert not bucket.set_back(now)


@given(EVERY, BURST, st.lists(st.tuples(st.integers(0, 100), st.integers(-400, 400)), max_size=20))
def test_whatever_steps_a_clock_makes_the_rate_goes_on(
    every: int, burst: int, moves: list[tuple[int, int]]
) -> None:
    bucket, now, started = Bucket(every, burst), 1_000, 0
    for elapsed, step in moves:
        now += elapsed + step
        assert bucket.first(now) <= now + every
        while bucket.take(now):
            started += 1
    steps = sum(step > 0 for _, step in moves)
    assert started <= burst * (1 + steps) + sum(elapsed for elapsed, _ in moves) // every


@given(EVERY, BURST, EVERY, BURST, MOMENTS)
def test_another_rate_counts_what_has_started_and_owes_no_more_than_it_could(
    every: int, burst: int, other_every: int, other_burst: int, moments: list[int]
) -> None:
    bucket = Bucket(every, burst)
    for moment in moments:
        bucket.take(moment)
    now = moments[-1]
    other = bucket.adapted(other_every, other_burst, now)
    assert (other is bucket) == ((every, burst) == (other_every, other_burst))
    assert now <= other.first(now) <= max(bucket.full, now + other_every)
    assert other.full <= now + other_burst * other_every
