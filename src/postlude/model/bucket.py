"""A token bucket, kept as the one moment at which it would be full again.

Times are microseconds. This is the generic cell rate algorithm of ITU-T I.371: two numbers say all
of a bucket, and nothing has to fill it.
"""


class Bucket:
    """How often jobs of one task, or of one queue, may start.

    Args:
        every: microseconds between starts that come steadily.
        burst: so many may start at once after a pause.
    """

    __slots__ = ("_burst", "_every", "_full", "_turn")

    def __init__(self, every: int, burst: int) -> None:
        self._every = every
        self._burst = burst
        self._full = 0
        self._turn = 0
        """The next turn to be handed out, if nothing can start before."""

    def first(self, now: int) -> int:
        """Return when the next may start, at the earliest."""
        return max(now, self._owed(now) - (self._burst - 1) * self._every)

    def start(self, now: int) -> None:
        """Note that one starts now."""
        self._full = max(self._owed(now), now) + self._every

    def turn(self, now: int) -> int:
        """Hand out the next turn to one that cannot start now: turns come one after another."""
        turn = max(self._turn, self.first(now))
        self._turn = turn + self._every
        return turn

    def set_back(self, now: int) -> bool:
        """Say, once, whether the clock was set back since: then the turns handed out are far away."""
        if self._full == self._owed(now):
            return False
        self._full, self._turn = self._owed(now), 0
        return True

    def _owed(self, now: int) -> int:
        """Return when it is full again: after no longer than the burst takes, whatever the clock has done."""
        return min(self._full, now + self._burst * self._every)

    def adapted(self, every: int, burst: int, now: int) -> "Bucket":
        """Return the bucket under another rate; itself, if the rate is the same.

        What has started lately counts, but never for more than the other rate could owe.
        """
        if (every, burst) == (self._every, self._burst):
            return self
        other = Bucket(every, burst)
        other._full = min(self._full, now + burst * every)
        return other
