"""When a failed attempt is followed by another."""

import random
from dataclasses import FrozenInstanceError
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postlude.clock import SECOND
from postlude.model.retry import ONCE, Exponential, Retry


class Drawn(random.Random):
    """Draws always the same share of what is asked for, and remembers the bounds."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share
        self.bounds: list[tuple[float, float]] = []

    def uniform(self, a: float, b: float) -> float:
        self.bounds.append((a, b))
        return a + (b - a) * self.share


def test_bounds_double_up_to_the_most() -> None:
    rng = Drawn(1.0)
    waits = [Exponential().wait(failures, rng) for failures in range(1, 12)]
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_bounds_can_be_chosen() -> None:
    backoff = Exponential(first=0.5, most=3.0)
    assert [backoff.wait(failures, Drawn(1.0)) for failures in range(1, 6)] == [0.5, 1, 2, 3, 3]


def test_the_first_wait_keeps_to_the_most_as_well() -> None:
    assert Exponential(first=60.0, most=5.0).wait(1, Drawn(1.0)) == 5.0


def test_jitter_is_full() -> None:
    """Between nothing and the bound, all alike: what failed together does not come back together."""
    rng = Drawn(0.0)
    assert Exponential().wait(5, rng) == 0.0
    assert rng.bounds == [(0.0, 16.0)]
    seeded = random.Random(1)
    waits = [Exponential().wait(5, seeded) for _ in range(2000)]
    assert min(waits) < 0.5
    assert max(waits) > 15.5
    assert mean(waits) == pytest.approx(8.0, abs=0.5)


@given(st.integers(1, 10**9), st.floats(0.0, 1e6), st.floats(0.0, 1e6), st.integers())
def test_waits_are_never_negative_nor_too_long(failures: int, first: float, most: float, seed: int) -> None:
    wait = Exponential(first, most).wait(failures, random.Random(seed))
    assert 0.0 <= wait <= most


@given(st.integers(1, 20), st.integers(1, 30), st.integers(0, 2**53), st.integers())
def test_attempts_are_counted(attempts: int, failures: int, now: int, seed: int) -> None:
    due = Retry(attempts=attempts).next_due(failures, now, random.Random(seed))
    if failures >= attempts:
        assert due is None
    else:
        assert due is not None
        assert now <= due <= now + 300 * SECOND
        assert isinstance(due, int)


def test_due_is_in_microseconds() -> None:
    assert Retry().next_due(3, 10, Drawn(0.5)) == 10 + 2 * SECOND


def test_by_default_there_are_five_attempts() -> None:
    rng = Drawn(1.0)
    dues = [Retry().next_due(failures, 0, rng) for failures in range(1, 7)]
    assert dues == [1 * SECOND, 2 * SECOND, 4 * SECOND, 8 * SECOND, None, None]


def test_once_is_once() -> None:
    assert ONCE.next_due(1, 0, Drawn(1.0)) is None


def test_a_policy_does_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        ONCE.attempts = 2  # type: ignore[misc]
