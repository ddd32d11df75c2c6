"""The runners of a memory store, and what each has noted as started."""

from collections.abc import Iterable

from postlude.clock import SECOND
from postlude.stores.memory.row import Row
from postlude.stores.protocol import NewRunner


class MemoryMarks:
    """Start marks in a plain dict: a memory store and its runners die together."""

    def __init__(self) -> None:
        self._running: dict[int, int] = {}
        self._starts: dict[int, int] = {}
        self.is_draining = False

    def started(self, seq: int, fence: int, at: int) -> None:
        self._running[seq] = self._starts[seq] = at

    def ended(self, seq: int) -> None:
        self._running.pop(seq, None)

    def draining(self) -> None:
        self.is_draining = True

    def running(self) -> dict[int, int]:
        """Return the jobs that have started and not ended, each with when it started."""
        # A copy first: other threads write marks without the store's lock.
        return self._running.copy()

    def start_of(self, seq: int) -> int | None:
        """Return when a job started, until `forget`."""
        return self._starts.get(seq)

    def forget(self, seq: int) -> None:
        """Its end is written."""
        self._starts.pop(seq, None)


class MemoryRunner:
    """A runner that is enlisted."""

    def __init__(self, number: int, new: NewRunner, boot: int) -> None:
        self.number = number
        self.release = new.release
        self.queues = new.queues
        self.marks = MemoryMarks()
        self.held: dict[int, Row] = {}
        self._lease = round(new.lease * SECOND)
        self._finisher = boot + self._lease

    def let_go(self, seq: int) -> None:
        """It holds a job no more."""
        del self.held[seq]
        self.marks.forget(seq)

    def renew(self, boot: int) -> None:
        """Start its lease afresh."""
        self._finisher = boot + self._lease

    def lapsed(self, boot: int) -> bool:
        """Say whether its lease has run out."""
        return boot >= self._finisher


def living(runners: Iterable[MemoryRunner], boot: int) -> list[str]:
    """Return what those that live told of themselves when they enlisted."""
    return [runner.release for runner in runners if not runner.lapsed(boot)]
