"""What one call sets of its policy, as it is stored with the job: short keys, and only what was set.

Everything else of a policy is resolved when a job runs, from the code that runs it, so that a
corrected policy reaches the jobs that wait.
"""

import json
from dataclasses import dataclass, replace
from typing import Any

from postlude.clock import SECOND
from postlude.model.retry import Exponential, Fixed, Linear, Retry

_KINDS = {"e": Exponential, "l": Linear, "f": Fixed}


@dataclass(frozen=True, slots=True)
class Opts:
    """The stored part of a call's policy. Times are microseconds, UTC; None: the task's own."""

    timeout: float | None = None
    """Seconds of one attempt."""
    expires: int | None = None
    """It must not start after this."""
    deadline: int | None = None
    """All of its attempts must end before this."""
    attempts: int | None = None
    backoff: Exponential | Linear | Fixed | None = None

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
        return Opts(
            timeout=found.get("t"),
            expires=found.get("x"),
            deadline=found.get("d"),
            attempts=found.get("n"),
            backoff=_read_backoff(found.get("b")),
        )
    except (ValueError, TypeError, AttributeError, LookupError):
        return NONE


def lifted(text: str | None) -> str | None:
    """Return stored opts without their bounds in time, for a job that somebody retries by hand."""
    found = read_opts(text)
    return replace(found, expires=None, deadline=None).text()


def from_now(seconds: float, now: int) -> int:
    """Return a moment so many seconds from now."""
    return now + round(seconds * SECOND)


def _backoff_text(backoff: Exponential | Linear | Fixed) -> list[Any]:
    kind = next(letter for letter, known in _KINDS.items() if type(backoff) is known)
    return [kind, *(getattr(backoff, name) for name in type(backoff).__slots__)]


def _read_backoff(found: Any) -> Exponential | Linear | Fixed | None:
    return None if found is None else _KINDS[found[0]](*found[1:])
