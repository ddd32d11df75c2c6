"""When a failed attempt is followed by another."""

import random
from dataclasses import dataclass

from postlude.clock import SECOND


@dataclass(frozen=True, slots=True)
class Exponential:
    """Waits that double, with full jitter: each is drawn between nothing and its bound.

    Attributes:
        first: bound of the first wait, in seconds.
        most: bound that no wait exceeds, in seconds.
    """

    first: float = 1.0
    most: float = 300.0

    def wait(self, failures: int, rng: random.Random) -> float:
        """Return the seconds to wait after so many failures (1 or more)."""
        bound = min(self.most, self.first * 2.0 ** min(failures - 1, 64))
        return rng.uniform(0.0, bound)


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a job is attempted when it raises, and how long it waits in between."""

    attempts: int = 5
    backoff: Exponential = Exponential()

    def next_due(self, failures: int, now: int, rng: random.Random) -> int | None:
        """Return when the next attempt is due (microseconds, UTC), or None after the last.

        Args:
            failures: attempts used up, this one included.
            now: the time of the failure.
            rng: where the jitter comes from.
        """
        if failures >= self.attempts:
            return None
        return now + round(self.backoff.wait(failures, rng) * SECOND)


ONCE = Retry(attempts=1)
"""The policy of a plain function: one attempt, as with FastAPI's own background tasks."""
