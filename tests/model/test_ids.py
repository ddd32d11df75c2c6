"""Ids that grow within a process, and stay apart between processes."""

import uuid
from itertools import pairwise

import pytest

from postlude.model.ids import IdSource, id_bytes, id_text

NOW = 1_767_225_600_123_456
"""Microseconds."""


def test_they_are_of_version_7_and_carry_the_time() -> None:
    id = uuid.UUID(bytes=IdSource().new(NOW))
    assert (id.version, id.variant) == (7, uuid.RFC_4122)
    assert id.int >> 80 == NOW // 1000


@pytest.mark.parametrize("made", [5000, 3 * 4096 + 1])
def test_they_grow_within_a_millisecond_and_beyond(made: int) -> None:
    ids = IdSource()
    many = [ids.new(NOW) for _ in range(made)]
    assert all(before < after for before, after in pairwise(many))
    assert {uuid.UUID(bytes=each).version for each in many} == {7}
    assert {uuid.UUID(bytes=each).variant for each in many} == {uuid.RFC_4122}
    # The count carries on into the milliseconds to come.
    assert uuid.UUID(bytes=many[-1]).int >> 80 == NOW // 1000 + (made - 1) // 4096


def test_they_grow_also_when_the_clock_is_set_back() -> None:
    ids = IdSource()
    assert ids.new(NOW) < ids.new(NOW - 10_000_000) < ids.new(NOW) < ids.new(NOW + 1000)


def test_two_sources_do_not_make_the_same() -> None:
    assert IdSource().new(NOW) != IdSource().new(NOW)


def test_text_and_back() -> None:
    id = IdSource().new(NOW)
    assert id_bytes(id_text(id)) == id
