"""What becomes of a job, for every outcome and every job that can be said."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from postlude.model.job import NewJob
from postlude.model.outcome import Cancelled, Failed, Outcome, Parked, Snoozed, Succeeded
from postlude.model.state import FINAL, MOVES, Reason, Stored
from postlude.model.terms import PLAIN, Terms
from postlude.model.transition import Ending, ending, may_be_written, starts_at_once

REASONS = st.none() | st.sampled_from(Reason)
FAILED = st.builds(
    Failed, error=st.text(), traceback=st.text(), retry_at=st.none() | st.integers(0), reason=REASONS
)
CANCELLED = st.builds(Cancelled, reason=REASONS, error=st.none() | st.text(), traceback=st.text())
OUTCOMES = st.one_of(
    st.builds(Succeeded, result=st.none() | st.binary(), dropped=st.booleans()),
    FAILED,
    CANCELLED,
    st.builds(Snoozed, due=st.integers(0)),
    st.builds(Parked, reason=st.sampled_from(Reason), release=st.text(), why=st.text()),
)


@given(OUTCOMES, st.booleans())
def test_it_is_a_legal_move_of_a_job_that_runs(outcome: Outcome, asked: bool) -> None:
    after = ending(outcome, asked=asked)
    assert after.state in MOVES[Stored.RUNNING]
    assert (after.due is not None) == (after.state is Stored.SCHEDULED)
    assert (after.release is not None) == (after.state is Stored.PARKED)


@given(OUTCOMES)
def test_who_was_asked_to_stop_does_not_go_on(outcome: Outcome) -> None:
    free, asked = ending(outcome, asked=False), ending(outcome, asked=True)
    assert asked.state in FINAL
    if free.state in FINAL:
        assert asked == free
    else:
        assert asked == Ending(Stored.CANCELLED, attempt=free.attempt)


@given(OUTCOMES, st.booleans())
def test_an_attempt_counts_if_it_has_raised(outcome: Outcome, asked: bool) -> None:
    raised = isinstance(outcome, Failed | Cancelled) and outcome.error is not None
    assert (ending(outcome, asked=asked).attempt is not None) == raised


@pytest.mark.parametrize(
    ("outcome", "after"),
    [
        (Succeeded(b"1"), Ending(Stored.SUCCEEDED)),
        (Succeeded(dropped=True), Ending(Stored.SUCCEEDED, reason=Reason.RESULT_DROPPED)),
        (Failed("e", "t", 7), Ending(Stored.SCHEDULED, 7, attempt=("e", "t"))),
        (
            Failed("e", "t", reason=Reason.TIMED_OUT),
            Ending(Stored.FAILED, reason=Reason.TIMED_OUT, attempt=("e", "t")),
        ),
        (Cancelled(Reason.EXPIRED), Ending(Stored.CANCELLED, reason=Reason.EXPIRED)),
        (Cancelled(None, "e", "t"), Ending(Stored.CANCELLED, attempt=("e", "t"))),
        (Snoozed(7), Ending(Stored.SCHEDULED, 7)),
        (
            Parked(Reason.UNKNOWN_TASK, "r", "why"),
            Ending(Stored.PARKED, reason=Reason.UNKNOWN_TASK, release="r", note="why"),
        ),
    ],
)
def test_each_outcome_has_its_end(outcome: Outcome, after: Ending) -> None:
    assert ending(outcome, asked=False) == after


@given(st.sampled_from(Stored), st.booleans(), st.integers(0, 3), st.integers(0, 3))
@example(Stored.RUNNING, False, 0, 0)  # nobody has claimed it
def test_an_end_is_written_for_the_claim_that_holds_and_no_other(
    state: Stored, released: bool, fence: int, claimed: int
) -> None:
    written = may_be_written(state, released, fence, claimed)
    if written:
        assert fence == claimed > 0
        assert MOVES[state] >= FINAL
    if fence == claimed > 0:
        lets_go = released and state in (Stored.READY, Stored.BLOCKED, Stored.PUBLISHED)
        assert written == (state is Stored.RUNNING or lets_go)


def job_with(terms: Terms) -> NewJob:
    return NewJob(b"", "t", "q", b"", 0, terms)


@given(
    st.builds(
        Terms,
        due=st.none() | st.just(1), once=st.booleans(), follows=st.booleans(), rated=st.booleans(),
        concurrency_key=st.none() | st.just(""), held=st.booleans(), priority=st.integers(-1, 1),
    )
)  # fmt: skip
def test_what_is_checked_by_claims_is_not_born_claimed(terms: Terms) -> None:
    if starts_at_once(job_with(terms)):
        assert (terms.once, terms.rated, terms.concurrency_key) == (False, False, None)
        assert terms.due is None or terms.follows or terms.held
        assert not starts_at_once(job_with(terms._replace(rated=True)))
        assert not starts_at_once(job_with(terms._replace(due=1, follows=False, held=False)))
    elif not (terms.once or terms.rated):
        delayed = terms.due is not None and not terms.follows and not terms.held
        assert terms.concurrency_key is not None or delayed


def test_a_plain_job_is() -> None:
    job = NewJob(b"", "t", "q", b"", 0)
    assert job.terms is PLAIN
    assert starts_at_once(job)
