"""From numbers to shapes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postlude.dashboard.charts import HEIGHT, WIDTH, ceiling, line, quantile, slots, spans, stacked


@pytest.mark.parametrize(
    "value, top", [(0, 1), (5e-324, 5e-324), (0.03, 0.05), (1, 1), (7, 10), (11, 20), (23, 25)]
)
def test_the_top_is_round(value: float, top: float) -> None:
    assert ceiling(value) == pytest.approx(top)


@given(st.lists(st.lists(st.floats(0, 1e6), min_size=3, max_size=3), max_size=60))
def test_columns_stay_inside(columns: list[list[float]]) -> None:
    top = ceiling(max([sum(each) for each in columns] or [0]))
    for bar in stacked([list(zip("abc", each, strict=True)) for each in columns], top):
        assert 0 <= bar.x < bar.x + bar.width <= WIDTH
        assert 0 <= bar.y <= HEIGHT


def test_parts_stand_on_one_another() -> None:
    lower, upper = stacked([[("a", 5.0), ("b", 0.0), ("c", 10.0)]], 20.0)
    assert (lower.kind, lower.y, lower.height) == ("a", 75, 25)
    assert (upper.kind, upper.y, upper.height) == ("c", 25, 50)


def test_a_line_has_gaps() -> None:
    path = line([1.0, 2.0, None, 3.0], 4.0, "median").path
    assert path.count("M") == 2
    assert path.count("L") == 2  # a point alone is a dash


def test_rooms_are_side_by_side() -> None:
    first, second = slots([("a", ""), ("b", "/x")])
    assert first.x + first.width == second.x
    assert second.href == "/x"


def test_pieces_of_time_can_be_seen() -> None:
    whole, short = spans([(0, 100, "waiting"), (99.999, 100, "failed")], 0, 100)
    assert whole.width == WIDTH
    assert short.width >= 4
    assert short.x + short.width <= WIDTH


def test_quantiles() -> None:
    assert quantile([0, 0, 0], (1, 2), 0.5) is None
    assert quantile([10, 0, 0], (1, 2), 0.5) == 0.5
    assert quantile([5, 5, 0], (1, 2), 0.95) == pytest.approx(1.9)
    assert quantile([0, 0, 3], (1, 2), 0.95) == 2
