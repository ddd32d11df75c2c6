"""How many jobs a runner may hold claimed: what it will start within a moment, and no more."""

from typing import Final

AHEAD_OF: Final = 0.1
"""Seconds of work that are held claimed beyond what runs."""

MEASURED_OVER: Final = 0.02
"""Seconds over which the rate is measured at least."""

TRUE_FOR: Final = 0.25
"""Seconds for which a rate is believed while nothing ends."""


class Pace:
    """Sets the limit of claims from the rate at which jobs end.

    Claiming far ahead is what makes short jobs fast: each write then carries many of them. But
    what one process holds, others cannot start. So slow jobs are hardly claimed ahead at all.

    Args:
        slots: jobs that run at once, of all kinds.
        most: the limit that no rate exceeds.
        now: seconds of a clock that only moves forward.
    """

    def __init__(self, slots: int, most: int, now: float) -> None:
        self.limit = min(2 * slots, most)
        self._slots = slots
        self._most = most
        self._since = now
        self._ended = 0
        self._soon = 0

    @property
    def low(self) -> int:
        """Who holds no more than this asks for more: half of the limit, or what half a moment leaves of it.

        So each claim of short jobs carries many, and slow ones are replaced one by one.
        """
        return max(self.limit // 2, self.limit - 1 - self._soon // 2)

    def soon(self, now: float) -> int:
        """Return how many jobs end in `AHEAD_OF`; 0 where none has ended lately."""
        return self._soon if now - self._since < TRUE_FOR else 0

    def ended(self, jobs: int, now: float) -> None:
        """Count jobs that have ended."""
        self._ended += jobs
        passed = now - self._since
        if passed >= MEASURED_OVER:
            self._soon = round(self._ended / passed * AHEAD_OF)
            held = self._slots + self._soon
            # Down by steps only: one pause in the arrivals says nothing about the jobs.
            self.limit = min(self._most, max(held, self.limit * 3 // 4, self._slots))
            self._since, self._ended = now, 0
