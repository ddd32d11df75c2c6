"""Which jobs a process has started, without files: in memory, and written of those that run for a moment.

A start costs no write: most jobs have ended before one would be due. When a process dies, the journal
knows what it had started long enough ago; what it may just have started makes nobody guilty.
"""

from collections.abc import Iterable
from threading import Lock
from time import monotonic
from typing import Final

AFTER: Final = 0.05
"""Seconds for which a job has run before that is written."""

KNOWN: Final = 4096
"""Ended jobs whose start is known."""


class PostgresMarks:
    """The start marks of one runner. Safe from any thread.

    Args:
        runner: its number.
    """

    def __init__(self, runner: int) -> None:
        self.runner = runner
        self.is_draining = False
        self._lock = Lock()
        self._running: dict[int, tuple[int, int, float]] = {}
        self._unwritten: dict[int, None] = {}
        self._ended: dict[int, int] = {}
        """When those had started that have ended last: their ends may be on their way to the journal."""

    def started(self, seq: int, fence: int, at: int) -> None:
        """Note that a job has started."""
        with self._lock:
            self._running[seq] = fence, at, monotonic()
            self._unwritten[seq] = None

    def ended(self, seq: int) -> None:
        """Note that it has ended."""
        with self._lock:
            running = self._running.pop(seq, None)
            self._unwritten.pop(seq, None)
            if running is not None:
                self._ended[seq] = running[1]
                if len(self._ended) > KNOWN:
                    del self._ended[next(iter(self._ended))]

    def draining(self) -> None:
        """Note that the process is shutting down."""
        self.is_draining = True

    @property
    def starts(self) -> dict[int, int]:
        """The jobs that have started and not ended, each with when (microseconds, UTC)."""
        with self._lock:
            return {seq: at for seq, (_, at, _) in self._running.items()}

    def start_of(self, seq: int, before: int | None) -> int | None:
        """Return when a job started; None: it has not yet.

        Args:
            seq: the job.
            before: when the attempt had started whose end the journal knows.
        """
        with self._lock:
            running, ended = self._running.get(seq), self._ended.get(seq)
        if running is not None:
            return running[1]
        return None if ended == before else ended  # if it is another one, its end is about to be written

    def is_due(self, after: float = AFTER) -> bool:
        """Say whether something is to be written now."""
        if not self._unwritten:
            return False
        before = monotonic() - after
        with self._lock:
            return any(self._running[seq][2] <= before for seq in self._unwritten)

    def to_write(self, after: float = AFTER) -> list[tuple[int, int, int, int]]:
        """Return what is to be written now: number, fence, runner and time of each start."""
        if not self._unwritten:
            return []
        now = monotonic()
        with self._lock:
            ripe = [seq for seq in self._unwritten if now - self._running[seq][2] >= after]
            return [(seq, self._running[seq][0], self.runner, self._running[seq][1]) for seq in ripe]

    def written(self, starts: Iterable[tuple[int, int, int, int]]) -> None:
        """What was to be written is stored. A job that has started again since has another fence."""
        with self._lock:
            for seq, fence, _, _ in starts:
                if seq in self._unwritten and self._running[seq][0] == fence:
                    del self._unwritten[seq]


class Left:
    """What a runner had noted when it ended.

    Attributes:
        started: the jobs that had started and not ended, each with when; None: nobody knows when.
        draining: its process was shutting down.
    """

    def __init__(self, started: dict[int, int | None], draining: bool) -> None:
        self.started = started
        self.draining = draining
