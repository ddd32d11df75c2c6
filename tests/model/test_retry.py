"""When a failed attempt is followed by another."""

import random
from dataclasses import FrozenInstanceError
from datetime import timedelta
from statistics import mean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postlude.clock import SECOND
from postlude.errors import RetryLater, Snooze, TaskDefinitionError
from postlude.model.retry import ONCE, Exponential, Fixed, Linear, Retry
from postlude.model.wait import LONGEST


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


seconds = st.floats(0.0, LONGEST)
failures_so_far = st.integers(1, 10**6)


@given(seconds, seconds, seconds, failures_so_far, st.integers())
def test_linear_waits_grow_by_a_step_up_to_the_most(
    first: float, step: float, most: float, failures: int, seed: int
) -> None:
    bound = Linear(first, step, most, jitter=False).wait(failures, Drawn(0.0))
    assert bound == min(most, first + step * (failures - 1))
    assert 0.0 <= Linear(first, step, most).wait(failures, random.Random(seed)) <= bound


@given(seconds, failures_so_far, st.integers())
def test_fixed_waits_are_always_the_same(bound: float, failures: int, seed: int) -> None:
    assert Fixed(bound).wait(failures, Drawn(0.0)) == bound
    assert 0.0 <= Fixed(bound, jitter=True).wait(failures, random.Random(seed)) <= bound


@given(seconds, seconds, st.integers(1, 60))
def test_exponential_waits_without_jitter_are_their_bounds(first: float, most: float, failures: int) -> None:
    wait = Exponential(first, most, jitter=False).wait(failures, Drawn(0.0))
    assert wait == min(most, first * 2 ** (failures - 1))


@pytest.mark.parametrize(
    ("make", "jitter"),
    [(Exponential, True), (Linear, True), (Fixed, False)],
)
def test_which_waits_are_drawn(make: Any, jitter: bool) -> None:
    """Those that grow, unless told otherwise: jobs that failed together do not come back together."""
    rng = Drawn(0.25)
    assert make().wait(1, rng) == (0.25 if jitter else 60.0)
    assert make(jitter=True).wait(1, rng) == 0.25 * (60.0 if make is Fixed else 1.0)
    drawn = len(rng.bounds)
    make(jitter=False).wait(1, rng)
    assert len(rng.bounds) == drawn


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), LONGEST + 1, "5", None, timedelta(1)])
@pytest.mark.parametrize(
    ("kind", "names"),
    [(Exponential, ["first", "most"]), (Linear, ["first", "step", "most"]), (Fixed, ["seconds"])],
)
def test_waits_are_seconds(kind: Any, names: list[str], value: Any) -> None:
    for name in names:
        with pytest.raises(TaskDefinitionError) as raised:
            kind(**{name: value})
        expected = f"{kind.__name__}({name}={value!r}): give seconds between 0 and 31622400"
        assert str(raised.value) == expected


@pytest.mark.parametrize("attempts", [0, -1, 2.0, "3", True, None])
def test_attempts_are_a_whole_number(attempts: Any) -> None:
    with pytest.raises(TaskDefinitionError) as raised:
        Retry(attempts)
    assert str(raised.value) == f"Retry(attempts={attempts!r}): give a whole number, 1 or more"


def test_a_backoff_is_one() -> None:
    with pytest.raises(
        TaskDefinitionError, match=r"^Retry\(backoff=60\): give Exponential\(\), Linear\(\), Fixed\(\)"
    ):
        Retry(backoff=60)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["on", "unless"])
@pytest.mark.parametrize("kinds", [int, "OSError", [OSError], (OSError, 7), OSError(), None])
def test_kinds_are_exception_classes(name: str, kinds: Any) -> None:
    with pytest.raises(TaskDefinitionError) as raised:
        Retry(**{name: kinds})
    assert str(raised.value) == f"Retry({name}={kinds!r}): give exception classes, in a tuple"


def test_one_kind_needs_no_tuple() -> None:
    assert Retry(on=OSError, unless=TimeoutError) == Retry(on=(OSError,), unless=(TimeoutError,))


@pytest.mark.parametrize(
    ("retry", "error", "covered"),
    [
        (Retry(), ValueError(), True),
        (Retry(), KeyboardInterrupt(), True),
        (Retry(on=OSError), TimeoutError(), True),
        (Retry(on=OSError), ValueError(), False),
        (Retry(on=(OSError, ValueError)), ValueError(), True),
        (Retry(unless=TimeoutError), TimeoutError(), False),
        (Retry(unless=TimeoutError), OSError(), True),
        (Retry(on=OSError, unless=TimeoutError), TimeoutError(), False),
        (Retry(on=()), ValueError(), False),
    ],
)
def test_which_errors_are_followed_by_another_attempt(
    retry: Retry, error: BaseException, covered: bool
) -> None:
    assert retry.covers(error) is covered


@pytest.mark.parametrize(
    ("retry", "within", "covered"),
    [
        (Retry(), [ValueError()], True),
        (Retry(on=OSError), [TimeoutError(), OSError()], True),
        (Retry(on=OSError), [TimeoutError(), ValueError()], False),
        (Retry(on=ExceptionGroup), [ValueError()], True),
        (Retry(unless=ValueError), [OSError(), ValueError()], False),
        (Retry(unless=ValueError), [OSError()], True),
        (Retry(unless=ExceptionGroup), [OSError()], False),
    ],
)
def test_a_group_is_covered_by_what_is_in_it(retry: Retry, within: list[Exception], covered: bool) -> None:
    assert retry.covers(ExceptionGroup("unhandled errors in a TaskGroup", within), within) is covered


def test_a_function_is_a_backoff() -> None:
    asked: list[int] = []

    def wait(failures: int) -> float:
        asked.append(failures)
        return failures / 2

    retry = Retry(attempts=4, backoff=wait)
    assert [retry.next_due(failures, 10, Drawn(0.0)) for failures in (1, 2, 3, 4)] == [
        10 + SECOND // 2,
        10 + SECOND,
        10 + SECOND * 3 // 2,
        None,
    ]
    assert asked == [1, 2, 3]


@pytest.mark.parametrize(
    ("wait", "expected"),
    [(-5, 0.0), (float("inf"), LONGEST), (float("-inf"), 0.0), (1e300, LONGEST), (True, 1)],
)
def test_what_a_function_returns_is_bounded(wait: float, expected: float) -> None:
    assert Retry(backoff=lambda failures: wait).next_due(1, 7, Drawn(0.0)) == 7 + round(expected * SECOND)


@pytest.mark.parametrize("wait", [None, "soon", float("nan")])
def test_what_is_no_number_is_an_error_of_the_function(wait: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        Retry(backoff=lambda failures: wait).next_due(1, 0, Drawn(0.0))


@pytest.mark.parametrize("given", [120, "120", timedelta(minutes=2), 120.0])
def test_a_task_may_say_seconds_as_it_has_them(given: float | str | timedelta) -> None:
    assert RetryLater(given).seconds == Snooze(given).seconds == 120.0
