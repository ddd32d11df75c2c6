"""Limits and rates, as values."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postlude.clock import SECOND
from postlude.errors import TaskDefinitionError
from postlude.model.limits import DeclaredLimits, Limit, Rate, bounds_of


@pytest.mark.parametrize("concurrent", [0, -1, 1.0, "4", True, None])
def test_a_limit_is_a_whole_number(concurrent: Any) -> None:
    with pytest.raises(TaskDefinitionError) as raised:
        Limit(concurrent)
    assert str(raised.value) == f"Limit(concurrent={concurrent!r}): give a whole number, 1 or more"


def test_a_limit_is_per_a_name() -> None:
    with pytest.raises(
        TaskDefinitionError, match=r"^Limit\(per=7\): give the name of one of the task's arguments"
    ):
        Limit(1, per=7)  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [0, -1, 1.0, "4", True])
def test_a_rate_counts(count: Any) -> None:
    with pytest.raises(TaskDefinitionError) as raised:
        Rate(count)
    assert str(raised.value) == f"Rate(count={count!r}): give a whole number, 1 or more"


@pytest.mark.parametrize("per", [0, -1, float("nan"), float("inf"), "60", timedelta(minutes=1)])
def test_a_rate_is_per_seconds(per: Any) -> None:
    with pytest.raises(TaskDefinitionError) as raised:
        Rate(1, per)
    assert str(raised.value) == f"Rate(per={per!r}): give seconds, more than 0"


def test_starts_that_come_steadily() -> None:
    assert Rate(100, per=60).every == 600_000
    assert Rate(3).every == 333_333
    assert Rate(10_000_000).every == 1


@given(st.integers(1, 10**9), st.floats(1e-6, 1e9))
def test_a_rate_is_kept_to_the_microsecond(count: int, per: float) -> None:
    every = Rate(count, per).every
    assert every >= 1
    assert every == 1 or abs(every - per * SECOND / count) <= 0.5 + every * 1e-9


def test_what_the_journal_is_told() -> None:
    assert bounds_of("task", "a", None, None) == DeclaredLimits("task", "a", None, None, 1)
    assert bounds_of("task", "a", Limit(4, per="b"), None) == DeclaredLimits("task", "a", 4, None, 1)
    assert bounds_of("queue", "q", Limit(4), Rate(9, 3)) == DeclaredLimits("queue", "q", 4, SECOND // 3, 9)
