"""Size and depth are bounded before anything is stored, and cheaply."""

import tracemalloc
from typing import Any
from uuid import UUID

import pytest

from postlude.errors import NotDurable
from postlude.tasks.codec.codec import Codec
from postlude.tasks.codec.payload import Limits
from postlude.tasks.registry import Registry
from tests.tasks import sample

LIMITS = Limits(payload=1024 * 1024, depth=100)
LARGE = "x" * (100 * 1024 * 1024)


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth - 1):
        value = [value]
    return value


def branching() -> Any:
    """Return a small value whose JSON would have 2 ** 90 parts."""
    value: Any = []
    for _ in range(90):
        value = [value, value]
    return value


def circular() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


def encode(annotation: Any, value: Any, limits: Limits = LIMITS) -> bytes:
    return Codec("app:task", sample.taking(annotation), limits).encode((value,), {}).payload


@pytest.mark.parametrize("annotation", [str, Any, UUID | str], ids=["str", "Any", "union"])
def test_a_large_text_is_refused(annotation: Any) -> None:
    with pytest.raises(NotDurable, match="'value' is larger than 1048576 bytes; store it and pass its key"):
        encode(annotation, LARGE)


@pytest.mark.parametrize("annotation", [str, Any], ids=["str", "Any"])
def test_a_large_value_is_refused_without_being_written(annotation: Any) -> None:
    codec = Codec("app:task", sample.taking(annotation), LIMITS)
    value = LARGE if annotation is str else [LARGE, "small"]
    tracemalloc.start()
    try:
        with pytest.raises(NotDurable):
            codec.encode((value,), {})
        assert tracemalloc.get_traced_memory()[1] < 1024 * 1024
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("annotation", [Any, list[Any]], ids=["Any", "list"])
@pytest.mark.parametrize("value", [nested(101), nested(10_000), circular()], ids=["101", "10,000", "circle"])
def test_deep_values_are_refused(annotation: Any, value: Any) -> None:
    with pytest.raises(NotDurable, match=r"'value\[0\].*nested more than 100 levels"):
        encode(annotation, value)


@pytest.mark.parametrize("annotation", [Any, list[Any]], ids=["Any", "list"])
def test_a_value_that_multiplies_itself_is_refused(annotation: Any) -> None:
    with pytest.raises(NotDurable, match="larger than"):
        encode(annotation, branching(), Limits(payload=10_000, depth=100))


def test_a_deep_model_is_refused() -> None:
    tree = sample.Tree(0)
    for _ in range(60):
        tree = sample.Tree(0, [tree])
    with pytest.raises(NotDurable, match=r"'value.children\[0\].*nested more than 100 levels"):
        encode(sample.Tree, tree)


@pytest.mark.parametrize("annotation", [Any, list[Any], dict[str, Any]], ids=["Any", "list", "dict"])
def test_the_deepest_value_comes_back(annotation: Any) -> None:
    value = {"a": nested(99)} if annotation != list[Any] else nested(100)
    codec = Codec("app:task", sample.taking(annotation), LIMITS)
    assert codec.decode(codec.encode((value,), {}).payload) == ((), {"value": value})


@pytest.mark.parametrize("annotation", [str, UUID | str], ids=["exact", "adapter"])
def test_the_limit_counts_the_whole_payload(annotation: Any) -> None:
    frame = len(encode(annotation, ""))
    assert len(encode(annotation, "x" * (500 - frame), Limits(500, 9))) == 500
    with pytest.raises(NotDurable, match="501 bytes and the limit is 500"):
        encode(annotation, "x" * (501 - frame), Limits(500, 9))


def test_many_large_parts_are_refused_together() -> None:
    with pytest.raises(NotDurable, match="larger than"):
        encode(list[str], ["x" * 600] * 2, Limits(1000, 9))
    with pytest.raises(NotDurable, match="larger than"):
        encode(Any, [1] * 1001, Limits(1000, 9))
    with pytest.raises(NotDurable, match="larger than"):
        encode(bytes, b"x" * 1001, Limits(1000, 9))


def test_escapes_count_as_they_are_written() -> None:
    with pytest.raises(NotDurable, match="limit is 500"):
        encode(str, "\0" * 100, Limits(500, 9))


@pytest.mark.parametrize("depth", [0, 181])
def test_a_depth_that_the_parser_cannot_read_is_refused_at_once(depth: int) -> None:
    with pytest.raises(ValueError, match="max_depth"):
        Registry(root=None, max_depth=depth)
