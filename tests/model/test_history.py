"""Sums of what happens to jobs: many successes at once count as one after another does."""

from collections import Counter

from hypothesis import example, given
from hypothesis import strategies as st

from postlude.clock import SECOND
from postlude.model.history import ADDED, RUN, WAIT, Sums, sum_of
from postlude.model.outcome import SUCCEEDED, Finish
from postlude.model.state import Stored

NUMBERS = {"mail": 1, "import": 2}

times = st.one_of(
    st.integers(-2 * SECOND, 4000 * SECOND),
    st.sampled_from([round(bound * SECOND) + off for bound in WAIT for off in (-1, 0, 1)]),
)
successes = st.builds(
    lambda task, queue, ran, waited: Finish(1, 1, task, 10**9, 10**9 + ran, SUCCEEDED, (), queue, waited),
    st.sampled_from(sorted(NUMBERS)),
    st.sampled_from(["default", "slow"]),
    times,
    st.none() | times,
)


@given(st.lists(successes, max_size=40))
@example([Finish(1, 1, "mail", 0, round(bound * SECOND), SUCCEEDED) for bound in RUN])
def test_many_successes_count_as_each_by_itself_does(finishes: list[Finish]) -> None:
    together, apart = Sums[int](), Sums[int]()
    told = together.add_successes(finishes, NUMBERS.__getitem__)
    for finish in finishes:
        apart.add_end(NUMBERS[finish.task], finish.queue, finish, Stored.SUCCEEDED)
    assert together.cells == apart.cells
    assert told == Counter(NUMBERS[finish.task] for finish in finishes)


@given(st.lists(successes, min_size=1, max_size=40))
def test_each_time_is_in_the_bucket_that_its_bounds_say(finishes: list[Finish]) -> None:
    """Counted here in the plainest way: the first bound that is not less; less than nothing counts as 0."""
    ran = [max(0, finish.finished - finish.started) for finish in finishes]
    waited = [max(0, finish.waited) for finish in finishes if finish.waited is not None]
    sums = Sums[int]()
    sums.add_successes(finishes, lambda _: 1)
    found = [sum_of(0, "", queue, outcome, cells) for (_, queue, outcome), cells in sums.cells.items()]
    assert [sum(column) for column in zip(*(one.runs for one in found), strict=True)] == _buckets(ran, RUN)
    assert [sum(column) for column in zip(*(one.waits for one in found), strict=True)] == _buckets(
        waited, WAIT
    )
    assert (sum(one.n for one in found), sum(one.ran for one in found)) == (len(finishes), sum(ran))
    assert sum(one.waited for one in found) == sum(waited)


def test_they_are_added_to_what_was_counted_before() -> None:
    sums = Sums[int]()
    once = [Finish(1, 1, "mail", 0, SECOND, SUCCEEDED, (), "q", 5)]
    for _ in range(3):
        sums.add_successes(once, NUMBERS.__getitem__)
    sums.add(1, "q", ADDED, 3)
    assert [(key, cells[:3]) for key, cells in sums.cells.items()] == [
        ((1, "q", "succeeded"), [3, 3 * SECOND, 15]),
        ((1, "q", "added"), [3, 0, 0]),
    ]


def _buckets(of: list[int], bounds: tuple[float, ...]) -> list[int]:
    ends = [round(bound * SECOND) for bound in bounds]
    found = [0] * (len(ends) + 1)
    for time in of:
        found[next((place for place, end in enumerate(ends) if time <= end), len(ends))] += 1
    return found
