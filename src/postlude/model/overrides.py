"""What one call sets of its policy, as it is stored with the job: short keys, and only what was set.

Everything else of a policy is resolved when a job runs, from the code that runs it, so that a
corrected policy reaches the jobs that wait.
"""

import json
import math
from dataclasses import dataclass, replace
from typing import Any, Final

from postlude.clock import SECOND
from postlude.model.retry import Exponential, Fixed, Linear, Retry

_KINDS = {"e": Exponential, "l": Linear, "f": Fixed}

UNBOUNDED: Final = 0
"""Stored for a timeout or a bound in time: there is none, whatever the task declares."""


@dataclass(frozen=True, slots=True)
class Opts:
    """The stored part of a call's policy. Times are microseconds, UTC.

    None: the task's own. `UNBOUNDED`: none.
    """

    timeout: float | None = None
    """Seconds of one attempt."""
    expires: int | None = None
    """It must not start after this."""
    deadline: int | None = None
    """All of its attempts must end before this."""
    attempts: int | None = None
    backoff: Exponential | Linear | Fixed | None = None
    schedule: str | None = None
    """The name of the schedule that it comes from."""
    scheduled_for: int | None = None
    """The due time that it comes from."""
    parent: str | None = None
    """The id of the job that it is a changed copy of."""

    def of_schedule(self, name: str, due: int | None) -> "Opts":
        """Return the same for the job of a schedule's due time; None: somebody has run it by hand."""
        return replace(self, schedule=name, scheduled_for=due)

    def text(self) -> str | None:
        """Return it as it is stored; None if nothing is set."""
        found: dict[str, Any] = {}
        if self.timeout is not None:
            found["t"] = self.timeout
        if self.expires is not None:
            found["x"] = self.expires
        if self.deadline is not None:
            found["d"] = self.deadline
        if self.attempts is not None:
            found["n"] = self.attempts
        if self.backoff is not None:
            found["b"] = _backoff_text(self.backoff)
        if self.schedule is not None:
            found["s"] = self.schedule
        if self.scheduled_for is not None:
            found["f"] = self.scheduled_for
        if self.parent is not None:
            found["p"] = self.parent
        return json.dumps(found, separators=(",", ":")) if found else None

    def over(self, retry: Retry) -> Retry:
        """Return a task's retry policy with what the call has set of it."""
        if self.attempts is None and self.backoff is None:
            return retry
        return replace(
            retry,
            attempts=retry.attempts if self.attempts is None else self.attempts,
            backoff=self.backoff or retry.backoff,
        )


NONE = Opts()


def read_opts(text: str | None) -> Opts:
    """Return what is stored; what this release does not understand is left out."""
    if not text:
        return NONE
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return NONE
    if not isinstance(found, dict):
        return NONE
    attempts, schedule, parent = _whole(found.get("n")), found.get("s"), found.get("p")
    return Opts(
        timeout=_seconds(found.get("t")),
        expires=_whole(found.get("x")),
        deadline=_whole(found.get("d")),
        attempts=attempts or None,
        backoff=_read_backoff(found.get("b")),
        schedule=schedule if type(schedule) is str else None,
        scheduled_for=_whole(found.get("f")),
        parent=parent if type(parent) is str else None,
    )


def lifted(text: str | None) -> str | None:
    """Return stored opts without bounds in time, for a job that somebody retries by hand."""
    return replace(read_opts(text), expires=UNBOUNDED, deadline=UNBOUNDED).text()


def from_now(seconds: float, now: int) -> int:
    """Return a moment so many seconds from now."""
    return now + round(seconds * SECOND)


def _backoff_text(backoff: Exponential | Linear | Fixed) -> list[Any]:
    kind = next(letter for letter, known in _KINDS.items() if type(backoff) is known)
    return [kind, *(getattr(backoff, name) for name in type(backoff).__slots__)]


def _read_backoff(found: Any) -> Exponential | Linear | Fixed | None:
    try:
        return None if found is None else _KINDS[found[0]](*found[1:])
    except (ValueError, TypeError, LookupError):
        return None


def _whole(found: Any) -> int | None:
    return found if type(found) is int and found >= 0 else None


def _seconds(found: Any) -> float | None:
    return found if type(found) in (int, float) and 0 <= found < math.inf else None
