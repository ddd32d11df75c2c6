"""A token bucket, kept as the one moment at which it would be full again.

Times are microseconds. This is the generic cell rate algorithm of ITU-T I.371: two numbers say all
of a bucket, and nothing has to fill it.
"""


class Bucket:
    """How often jobs of one task, or of one queue, may start.

    Args:
        every: microseconds between starts that come steadily.
        burst: so many may start at once after a pause.
        full: when it is full again.
        turns: the next turn to be handed out, if nothing can start before.
    """

    __slots__ = ("burst", "every", "full", "turns")

    def __init__(self, every: int, burst: int, full: int = 0, turns: int = 0) -> None:
        self.every = every
        self.burst = burst
        self.full = full
        self.turns = turns

    def first(self, now: int) -> int:
        """Return when the next may start, at the earliest."""
        return max(now, self._owed(now) - (self.burst - 1) * self.every)

    def allowed(self, now: int) -> int:
        """Return how many may start now."""
        return max(0, (self.burst * self.every - max(0, self._owed(now) - now)) // self.every)

    def start(self, now: int) -> None:
        """Note that one starts now."""
        self.full = max(self._owed(now), now) + self.every

    def take(self, now: int) -> bool:
        """Let one start now, if it may."""
        if not self.allowed(now):
            return False
        self.start(now)
        return True

    def turn(self, now: int) -> int:
        """Hand out the next turn to one that cannot start now: turns come one after another."""
        turn = max(self.turns, self.first(now))
        self.turns = turn + self.every
        return turn

    def set_back(self, now: int) -> bool:
        """Say, once, whether the clock was set back since: then the turns handed out are far away."""
        if self.full == self._owed(now):
            return False
        self.full, self.turns = self._owed(now), 0
        return True

    def _owed(self, now: int) -> int:
        """Return when it is full again: after no longer than the burst takes, whatever the clock has done."""
        return min(self.full, now + self.burst * self.every)

    def adapted(self, every: int, burst: int, now: int) -> "Bucket":
        """Return the bucket under another rate; itself, if the rate is the same.

        What has started lately counts, but never for more than the other rate could owe.
        """
        if (every, burst) == (self.every, self.burst):
            return self
        return Bucket(every, burst, min(self.full, now + burst * every))
