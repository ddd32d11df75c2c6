"""Works on their way to their executors: they start together, when the loop has time for them."""

from collections import deque
from collections.abc import Callable, Iterable

from postlude.runner.attempt.work import Work


class Starting:
    """Lets works start with those of other requests that are answered about now.

    What is done for many at once finds the processor's caches warm: some 2 us a job. And in the moment
    in which the next requests wait for the disk, it costs them nothing.

    Args:
        later: makes a call on the loop, not at once; see `Store.meanwhile`.
        submit: starts a work, or lets it wait for room.
    """

    def __init__(self, later: Callable[[Callable[[], None]], object], submit: Callable[[Work], None]) -> None:
        self._later = later
        self._submit = submit
        self.waiting: deque[Work] = deque()

    def add(self, works: Iterable[Work]) -> None:
        """Let them start. On the loop."""
        if not self.waiting:
            self._later(self.start)
        self.waiting.extend(works)

    def start(self) -> None:
        """Start now what waits. On the loop."""
        waiting = self.waiting
        try:
            while waiting:
                try:
                    work = waiting.popleft()
                except IndexError:  # taken back
                    return
                self._submit(work)
        finally:
            if waiting:  # one could not be started: the others are
                self._later(self.start)
