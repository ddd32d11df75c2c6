"""What a job is at one moment: what its handle tells, and what counts as a change of it."""

from dataclasses import dataclass

from postlude.model.job import JobRecord, Progress
from postlude.model.state import Reason, State, Stored


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A job at one moment.

    Attributes:
        state: its state.
        attempt: the number of the attempt that comes, runs or was the last, from 1.
        progress: how far it said that it was, last.
        error: the last attempt's error, type and message in one line; None if it succeeded.
        reason: why it is where it is, when the state does not say.
        cancel_asked: it runs, and somebody has asked it to stop.
    """

    state: State
    attempt: int
    progress: Progress | None = None
    error: str | None = None
    reason: Reason | None = None
    cancel_asked: bool = False

    @classmethod
    def of(cls, record: JobRecord) -> "Snapshot":
        """Read a job as the journal gave it, with its attempts."""
        return cls(
            record.state,
            attempt_number(record),
            record.progress,
            last_error(record),
            record.reason,
            cancel_asked(record),
        )

    @property
    def ended(self) -> bool:
        """Whether it is in a final state."""
        return self.state in (State.SUCCEEDED, State.FAILED, State.CANCELLED)


def attempt_number(record: JobRecord) -> int:
    """Return the number of the attempt that comes, runs or was the last, from 1."""
    if record.state in (State.FAILED, State.CANCELLED):
        return max(1, record.failures)
    return record.failures + 1


def last_error(record: JobRecord) -> str | None:
    """Return the error of the last attempt, if that did not succeed."""
    return None if record.state is State.SUCCEEDED else record.error


def cancel_asked(record: JobRecord) -> bool:
    """Whether it runs and has been asked to stop."""
    return record.stored is Stored.RUNNING and record.cancel_asked is not None
