"""Where claims begin: never behind a job that may be ready."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postlude.stores.postgres import places as module
from postlude.stores.postgres.places import MOST_PRIORITIES, WHOLE, Places, Seen


def covers(places: Places, queue: str, priority: int, place: int) -> bool:
    """Whether a claim would meet a job that is ready there."""
    return any(
        (first, begin) <= (priority, place) and priority <= last
        for first, begin, last in zip(*places.stretches(queue), strict=True)
    )


def turned(newest: int, behind: int = 0) -> Places:
    places = Places()
    places.begin(behind, newest)
    return places


def test_what_is_not_known_is_looked_at_whole() -> None:
    assert turned(10).stretches("q") == WHOLE


def test_it_goes_on_behind_what_was_taken() -> None:
    places = turned(10)
    places.passed("q", [Seen(3, 0, 3), Seen(4, 0, 4)], {3, 4}, whole=False)
    assert [covers(places, "q", 0, place) for place in (3, 4, 5)] == [False, False, True]
    assert covers(places, "q", -1, 1), "what is more urgent comes to light anywhere"
    assert covers(places, "q", 1, 1)
    assert covers(places, "other", 0, 1)


def test_it_does_not_pass_what_was_left() -> None:
    places = turned(10)
    places.passed("q", [Seen(3, 0, 3), Seen(4, 0, 4), Seen(5, 0, 5)], {3, 5}, whole=True)
    assert not covers(places, "q", 0, 3)
    assert covers(places, "q", 0, 4)


def test_nothing_that_is_there_comes_later_when_all_was_seen() -> None:
    places = turned(10)
    places.passed("q", [Seen(3, 0, 3), Seen(7, 2, 7)], {3, 7}, whole=True)
    assert not covers(places, "q", 0, 10)
    assert not covers(places, "q", 2, 10)
    assert covers(places, "q", 0, 11)
    places.begin(0, 20)
    places.empty("q")
    assert not covers(places, "q", 2, 20)


def test_what_keeps_its_place_has_it_begin_at_the_start() -> None:
    places = turned(10)
    places.passed("q", [Seen(3, 0, 3)], {3}, whole=True)
    places.begin(0, 12)
    assert not covers(places, "q", 0, 3)
    places.begin(1, 12)
    assert covers(places, "q", 0, 3)
    assert "q" in places.queues


def test_it_begins_at_the_start_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(module, "monotonic", lambda: now)
    places = turned(10)
    places.passed("q", [Seen(3, 0, 3)], {3}, whole=True)
    now += 0.9
    assert not places.sweep()
    now += 0.2
    assert places.sweep()
    assert covers(places, "q", 0, 3)
    places.swept(0.1)
    now += 19
    assert not places.sweep(), "the slower it is, the less often"
    now += 2
    assert places.sweep()


def test_many_priorities_do_not_make_many_looks() -> None:
    places = turned(100)
    for priority in range(50):
        places.passed("q", [Seen(priority, priority, priority)], {priority}, whole=False)
    assert len(places.stretches("q").first) <= 2 * MOST_PRIORITIES + 1


priorities = st.integers(-2, 2)


@given(st.data())
def test_whatever_was_claimed_before_a_claim_meets_all_that_is_ready(data: st.DataObject) -> None:
    places, ready, newest = Places(), dict[int, tuple[int, int]](), 0
    for _ in range(data.draw(st.integers(1, 12))):
        for _ in range(data.draw(st.integers(0, 4))):
            newest += 1
            ready[newest] = data.draw(priorities), newest
        places.begin(0, newest)
        order = sorted(ready, key=ready.__getitem__)
        assert all(covers(places, "q", *ready[seq]) for seq in order)
        most = data.draw(st.integers(1, 5))
        seen = [Seen(seq, *ready[seq]) for seq in order[:most]]
        taken = {one.seq for one in seen if data.draw(st.booleans())}
        places.passed("q", seen, taken, whole=len(seen) < most)
        for seq in taken:
            del ready[seq]
