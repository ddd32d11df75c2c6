"""How an attempt can end, and what is written then."""

from typing import NamedTuple

from postlude.model.state import Reason


class Succeeded(NamedTuple):
    """The function returned."""


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


Outcome = Succeeded | Failed | Parked


class Finish(NamedTuple):
    """One attempt's end, to be written if its claim still holds."""

    seq: int
    fence: int
    task: str
    started: int
    finished: int
    outcome: Outcome


SUCCEEDED = Succeeded()
