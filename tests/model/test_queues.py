"""Which queues a runner or a claim is about."""

import pytest

from postlude.model.queues import ALL, NONE, Queues, all_but, only, read_queues


def test_only_and_all_but() -> None:
    assert [name in only(["a", "b"]) for name in "abc"] == [True, True, False]
    assert [name in all_but(["a", "b"]) for name in "abc"] == [False, False, True]
    assert ("any" in ALL, "any" in NONE) == (True, False)


def test_every() -> None:
    assert [queues.every for queues in (ALL, all_but([]), all_but("a"), only("a"), NONE)] == [
        True, True, False, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize("queues", [ALL, NONE, only(["b", "a"]), all_but(["a, b", "ü"])])
def test_what_is_written_is_read(queues: Queues) -> None:
    assert read_queues(queues.text()) == queues


def test_what_a_store_keeps() -> None:
    assert (ALL.text(), only(["b", "a"]).text(), all_but(["a"]).text()) == (
        None, '{"only":["a","b"]}', '{"but":["a"]}',
    )  # fmt: skip


@pytest.mark.parametrize("text", ["", "x", "[]", "{}", '{"like":["a"]}', '{"only":1}', '{"only":[1]}', "7"])
def test_what_is_not_understood_is_no_queue(text: str) -> None:
    assert read_queues(text) == NONE
