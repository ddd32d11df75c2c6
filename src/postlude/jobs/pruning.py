"""Which jobs that have ended are kept no longer: what people prune by hand, without waiting for the duty."""

from dataclasses import dataclass, replace
from typing import Final

from postlude.clock import SECOND
from postlude.config import Keep
from postlude.jobs.bulk import MOST, Acted, Pruning, act_on
from postlude.model.job import Found, JobFilter
from postlude.model.state import State
from postlude.stores.protocol import Looking, Store

SUCCEEDED: Final = (State.SUCCEEDED,)
FAILED: Final = (State.FAILED, State.CANCELLED)
"""What a bound of failures is of: the same as in `Keep`."""


@dataclass(frozen=True)
class Bounds:
    """What is kept no longer. What is None bounds nothing."""

    succeeded_before: int | None = None
    """Succeeded jobs that ended before that (microseconds, UTC)."""
    successes: int | None = None
    """Succeeded jobs but the newest ones: so many."""
    failed_before: int | None = None
    """Failed and cancelled jobs that ended before that (microseconds, UTC)."""
    failures: int | None = None
    """Failed and cancelled jobs but the newest ones: so many."""

    @classmethod
    def of(cls, keep: Keep, now: int) -> "Bounds":
        """Return what an application keeps no longer at a moment (microseconds, UTC)."""
        return cls(
            now - round(keep.success_seconds * SECOND),
            keep.successes,
            now - round(keep.failure_seconds * SECOND),
            keep.failures,
        )


def kept_no_longer(store: Looking, bounds: Bounds) -> list[Found]:
    """Return the jobs that have ended and are kept no longer, newest first. Blocks.

    Raises:
        JournalUnavailable: the journal cannot be read now.
    """
    found: dict[int, Found] = {}
    for states, before, most in (
        (SUCCEEDED, bounds.succeeded_before, bounds.successes),
        (FAILED, bounds.failed_before, bounds.failures),
    ):
        wanted = JobFilter(states=states, limit=MOST)
        if before is not None:
            _note(found, store.find(replace(wanted, ended_before=before)).wait())
        if most is not None and _are_more(store, states, most):
            _note(found, store.find(wanted).wait()[most:])
    return sorted(found.values(), reverse=True)


def prune(store: Store, bounds: Bounds) -> Acted:
    """Delete the jobs that have ended and are kept no longer. Blocks.

    Raises:
        JournalUnavailable: the journal cannot be written now; a note says what had been done.
    """
    return act_on(store, Pruning(), [one.id for one in kept_no_longer(store, bounds)])


def _note(found: dict[int, Found], more: list[Found]) -> None:
    found.update((one.seq, one) for one in more)


def _are_more(store: Looking, states: tuple[State, ...], than: int) -> bool:
    """Whether more jobs are in these states: a tally knows, and all need not be read where it is not so."""
    return sum(count.jobs for count in store.counts().wait() if count.state in states) > than
