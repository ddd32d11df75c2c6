"""Works on their way to their executors: they start together, when the loop has time for them."""

from asyncio import AbstractEventLoop, TimerHandle
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final, Protocol

from postlude.runner.attempt.work import Work

QUIET: Final = 3
"""Turns of the loop in which nobody asks the journal for anything, after which they start."""

SOON: Final = 0.004
"""Seconds after which they start although each turn takes long."""

LATEST: Final = 0.005
"""Seconds after which they start although the journal has not come to the disk."""


class Asking(Protocol):
    """Who knows what the journal is asked for."""

    reserved: int
    """Jobs of requests that wait for the journal."""


class Starting:
    """Lets works start with those of other requests that are answered about now.

    What is done for many at once finds the processor's caches warm: some 2 us a job. And on one core, a loop
    whose clients all wait for one commit has nothing to do until the disk has written: started then, works
    cost these requests nothing. Started at once, they kept the next requests from being read, and so from
    sharing a commit.

    Args:
        loop: where they start.
        submit: starts a work, or lets it wait for room.
    """

    def __init__(self, loop: AbstractEventLoop, submit: Callable[[Work], None]) -> None:
        self._loop = loop
        self._submit = submit
        self.waiting: deque[Work] = deque()
        self.asking: Asking | None = None
        """What is being stored for others meanwhile."""
        self._latest: TimerHandle | None = None

    def add(self, works: Iterable[Work]) -> None:
        """Let them start. On the loop."""
        if not self.waiting:
            self._loop.call_soon(self._turn, self._loop.time() + SOON, QUIET)
        self.waiting.extend(works)

    def _turn(self, until: float, quiet: int) -> None:
        if self.asking is not None and self.asking.reserved:
            if self._latest is None:
                self._latest = self._loop.call_later(LATEST, self.start)
        elif quiet and self._loop.time() < until:
            self._loop.call_soon(self._turn, until, quiet - 1)
        else:
            self.start()

    def commit_begins(self) -> None:
        """The disk writes now: the loop has time. See `Store.tell_commits`."""
        if self.waiting:
            with suppress(RuntimeError):  # the loop has closed
                self._loop.call_soon_threadsafe(self.start)

    def hurry(self) -> None:
        """Start what waits in the next turn of the loop. On the loop."""
        self._loop.call_soon(self.start)

    def start(self) -> None:
        """Start now what waits. On the loop."""
        if self._latest is not None:
            self._latest.cancel()
            self._latest = None
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
                self.hurry()
