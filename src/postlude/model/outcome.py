"""How an attempt can end, and what is written then."""

from typing import NamedTuple

from postlude.model.state import Reason


class Succeeded(NamedTuple):
    """The function returned."""

    result: bytes | None = None
    """What it returned, as JSON; None: nothing is kept."""
    dropped: bool = False
    """It returned something that could not be kept."""


class Failed(NamedTuple):
    """The function raised, or could not be run."""

    error: str
    """The exception's type and message, one line, capped."""
    traceback: str
    retry_at: int | None = None
    """When the next attempt is due (microseconds, UTC); None: the job has failed for good."""
    reason: Reason | None = None


class Parked(NamedTuple):
    """This release cannot run the job; it costs no attempt."""

    reason: Reason
    release: str
    """What of this release did not fit: a release in which it differs un-parks the job."""
    why: str = ""
    """The same in a sentence, for people."""


class Snoozed(NamedTuple):
    """The task asked to be run again later; it costs no attempt."""

    due: int


class Cancelled(NamedTuple):
    """The job has ended without success or failure: somebody cancelled it, or it gave up, or it expired."""

    reason: Reason | None = None
    error: str | None = None
    """If an attempt had begun: what it raised, one line; it is recorded as an attempt."""
    traceback: str = ""


Outcome = Succeeded | Failed | Parked | Snoozed | Cancelled


class LogLine(NamedTuple):
    """A log record of an attempt."""

    at: int
    level: int
    logger: str
    message: str


class Finish(NamedTuple):
    """One attempt's end, to be written if its claim still holds."""

    seq: int
    fence: int
    task: str
    started: int
    finished: int
    outcome: Outcome
    logs: tuple[LogLine, ...] = ()
    """What the attempt logged, within the caps."""
    queue: str = "default"
    """The queue in which its job waited."""
    waited: int | None = None
    """Of a first attempt: how long after it could have started at the earliest it did (microseconds)."""
    began: bool = True
    """Whether the task's function was called."""


SUCCEEDED = Succeeded()
