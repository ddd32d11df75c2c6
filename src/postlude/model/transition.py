"""What becomes of a job: decided here once, for every store."""

from typing import Final, NamedTuple

from postlude.model.job import NewJob
from postlude.model.outcome import SUCCEEDED, Cancelled, Failed, Outcome, Parked, Snoozed, Succeeded
from postlude.model.state import Reason, Stored

_RUNNING: Final = Stored.RUNNING
_RELEASED: Final = frozenset({Stored.READY, Stored.BLOCKED, Stored.PUBLISHED})


def starts_at_once(job: NewJob) -> bool:
    """Whether a new job may be born claimed, as far as it says itself.

    A claim is its start mark if it runs at most once; limits and rates are looked at where jobs are claimed;
    and it must not be delayed. The store adds that nothing in its queue waits or is paused, that the runner
    lives, and that the queue is one of those that it runs by itself.
    """
    terms = job.terms
    if terms.once or terms.rated or terms.concurrency_key is not None:
        return False
    # A follower's due time is no delay: it bounds its wait for the one before it.
    return terms.due is None or terms.follows or terms.held


def may_be_written(state: int, released: bool, fence: int, claimed: int) -> bool:
    """Whether an attempt's end may be written: nobody has taken the job over, nor ended it.

    Args:
        state: the job's.
        released: its runner has let go of it, and no attempt's end has been written since.
        fence: the job's.
        claimed: the fence that the attempt has.
    """
    if not claimed or fence != claimed:
        return False
    return state == _RUNNING or (released and state in _RELEASED)


class Ending(NamedTuple):
    """What an attempt's outcome makes of its job."""

    state: Stored
    due: int | None = None
    """When the next attempt is due."""
    reason: Reason | None = None
    release: str | None = None
    """Of a parked job: what of this release did not fit."""
    note: str = ""
    """Of a parked job: why, in a sentence."""
    attempt: tuple[str, str] | None = None
    """The error and the traceback to record, if the attempt counts among the failed ones."""


_SUCCEEDED: Final = Ending(Stored.SUCCEEDED)
_DROPPED: Final = Ending(Stored.SUCCEEDED, reason=Reason.RESULT_DROPPED)


def ending(outcome: Outcome, *, asked: bool) -> Ending:
    """Return what becomes of a job by an attempt's outcome.

    Args:
        outcome: how the attempt has ended.
        asked: whether somebody has asked the job to stop: it does not go on then.
    """
    if outcome is SUCCEEDED:  # nearly always
        return _SUCCEEDED
    if isinstance(outcome, Succeeded):
        return _DROPPED if outcome.dropped else _SUCCEEDED
    if isinstance(outcome, Failed):
        attempt = outcome.error, outcome.traceback
        if outcome.retry_at is None:
            return Ending(Stored.FAILED, reason=outcome.reason, attempt=attempt)
        if asked:
            return Ending(Stored.CANCELLED, attempt=attempt)
        return Ending(Stored.SCHEDULED, outcome.retry_at, attempt=attempt)
    if isinstance(outcome, Cancelled):
        counts = outcome.error is not None
        return Ending(
            Stored.CANCELLED,
            reason=outcome.reason,
            attempt=(outcome.error or "", outcome.traceback) if counts else None,
        )
    if asked:
        return Ending(Stored.CANCELLED)
    if isinstance(outcome, Snoozed):
        return Ending(Stored.SCHEDULED, outcome.due)
    assert isinstance(outcome, Parked)
    return Ending(Stored.PARKED, reason=outcome.reason, release=outcome.release, note=outcome.why)
