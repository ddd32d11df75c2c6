"""What was given is repeated in messages, but not a megabyte of it."""

import pytest

from postlude.messages.quoting import MOST, cut, quoted


class Long:
    def __repr__(self) -> str:
        return "Long(" + "x" * 1_000_000 + ")"


class Mute:
    def __repr__(self) -> str:
        raise RuntimeError("I say nothing")


@pytest.mark.parametrize(
    "given",
    ["mail", 7, 2.5, None, True, b"x", [1, 2], {"a": 1}, "é", pytest.param("\ud800", id="half"), "it's"],
)
def test_what_is_short_is_written_as_python_does(given: object) -> None:
    assert quoted(given) == repr(given)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param("x" * 1_000_000, id="a text"),
        pytest.param("\ud800" * 1_000_000, id="halves"),
        pytest.param(b"x" * 1_000_000, id="bytes"),
        pytest.param(Long(), id="an object"),
        pytest.param([Long()] * 9, id="a list"),
        pytest.param({"x" * 1_000_000: Long()}, id="a dict"),
        pytest.param(10**4000, id="a number"),
    ],
)
def test_what_is_long_is_cut(given: object) -> None:
    text = quoted(given)
    assert len(text) < 3 * MOST
    assert "..." in text


@pytest.mark.parametrize(
    "given", [Mute(), pytest.param(10**5000, id="more digits than Python writes"), [Mute()]]
)
def test_what_cannot_be_written_is_told_all_the_same(given: object) -> None:
    assert 0 < len(quoted(given)) < MOST


def test_a_text_is_cut_where_it_is_too_long() -> None:
    assert cut("x" * MOST) == "x" * MOST
    assert cut("x" * (MOST + 1)) == "x" * MOST + "..."
    assert cut("12345", 3) == "123..."
