"""Who is charged when a process dies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postlude.model.crash import MAX_DEATHS, Started, Verdict, judge

CLEAN, SUSPECT = False, True


@pytest.mark.parametrize(
    "started, verdicts",
    [
        ([], []),
        ([Started(1, CLEAN, 0)], [Verdict(1, SUSPECT, 1)]),
        ([Started(1, SUSPECT, 0)], [Verdict(1, SUSPECT, 1)]),
        ([Started(1, SUSPECT, 2)], [Verdict(1, SUSPECT, 3)]),
        (
            [Started(1, CLEAN, 0), Started(2, CLEAN, 0)],
            [Verdict(1, SUSPECT, 0), Verdict(2, SUSPECT, 0)],
        ),
        (
            [Started(1, CLEAN, 0), Started(2, SUSPECT, 1), Started(3, CLEAN, 0)],
            [Verdict(1, CLEAN, 0), Verdict(2, SUSPECT, 2), Verdict(3, CLEAN, 0)],
        ),
        (
            [Started(1, SUSPECT, 1), Started(2, SUSPECT, 0), Started(3, CLEAN, 0)],
            [Verdict(1, SUSPECT, 1), Verdict(2, SUSPECT, 0), Verdict(3, CLEAN, 0)],
        ),
    ],
    ids=[
        "nothing had started",
        "alone, it is charged",
        "a suspect alone is charged",
        "a suspect alone is charged once more",
        "in company all are suspects and nobody is charged",
        "the suspect is charged, those beside it are not",
        "two suspects that should not have met: neither is charged, nor those beside them",
    ],
)
def test_a_death(started: list[Started], verdicts: list[Verdict]) -> None:
    assert judge(started, draining=False) == verdicts


def test_three_deaths_are_too_many() -> None:
    assert MAX_DEATHS == 3
    assert [Verdict(1, SUSPECT, deaths).killed for deaths in range(5)] == [False, False, False, True, True]


def test_any_source_of_jobs_is_read_once() -> None:
    assert judge(iter([Started(1, CLEAN, 0)]), draining=False) == [Verdict(1, SUSPECT, 1)]


crowds = st.lists(
    st.builds(Started, seq=st.integers(1, 10**6), suspect=st.booleans(), deaths=st.integers(0, 2)),
    unique_by=lambda job: job.seq,
    max_size=8,
)


@given(crowds)
def test_a_draining_process_changes_nothing(started: list[Started]) -> None:
    assert [tuple(verdict) for verdict in judge(started, draining=True)] == [tuple(job) for job in started]


@given(crowds)
def test_every_job_has_one_verdict_and_one_job_at_most_is_charged(started: list[Started]) -> None:
    verdicts = judge(started, draining=False)
    assert [verdict.seq for verdict in verdicts] == [job.seq for job in started]
    added = [after.deaths - before.deaths for before, after in zip(started, verdicts, strict=True)]
    assert sorted(added) in ([0] * len(started), [0] * (len(started) - 1) + [1])


@given(crowds)
def test_beside_a_suspect_the_innocent_are_untouched(started: list[Started]) -> None:
    suspects = {job.seq for job in started if job.suspect}
    for before, after in zip(started, judge(started, draining=False), strict=True):
        if suspects and not before.suspect:
            assert tuple(after) == tuple(before)
        elif len(suspects) == 1:
            assert after.deaths == before.deaths + 1


@given(crowds)
def test_suspicion_is_never_lifted_by_a_death(started: list[Started]) -> None:
    verdicts = judge(started, draining=False)
    assert all(after.suspect for before, after in zip(started, verdicts, strict=True) if before.suspect)
    assert not started or any(verdict.suspect for verdict in verdicts)


@given(st.integers(1, 12), st.data())
def test_a_culprit_is_found_and_nobody_else_is_killed(count: int, data: st.DataObject) -> None:
    """One job kills whatever process runs it; suspects run one at a time. It ends, and only it fails."""
    culprit = data.draw(st.integers(1, count))
    waiting = {seq: Started(seq, CLEAN, 0) for seq in range(1, count + 1)}
    for _ in range(count + MAX_DEATHS):
        suspects = [job for job in waiting.values() if job.suspect]
        running = [job for job in waiting.values() if not job.suspect] + suspects[:1]
        if culprit not in {job.seq for job in running}:
            for job in running:
                del waiting[job.seq]  # they succeed
            continue
        for verdict in judge(running, draining=False):
            if verdict.killed:
                assert verdict.seq == culprit
                del waiting[verdict.seq]
            else:
                waiting[verdict.seq] = Started(*verdict)
        if culprit not in waiting:
            return
    raise AssertionError("the culprit still runs")
