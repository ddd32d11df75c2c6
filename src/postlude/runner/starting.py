"""Works on their way to their lanes: they start in the loop's next turn, together."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from postlude.runner.work import Work


class Starting:
    """Lets works start in the next turn, with those of other requests that were answered in this one.

    What is done for many at once finds the processor's caches warm: some 2 us a job.

    Args:
        loop: the runner's loop.
        submit: starts a work, or lets it wait for room.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, submit: Callable[[Work], None]) -> None:
        self._loop = loop
        self._submit = submit
        self.waiting: deque[Work] = deque()

    def add(self, works: Iterable[Work]) -> None:
        """Let them start. On the loop."""
        if not self.waiting:
            self._loop.call_soon(self.start)
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
                self._loop.call_soon(self.start)
