"""The order of plain functions of one request: each starts when the attempt before it has ended."""

import asyncio
from collections.abc import Callable, Sequence

from postlude.runner.work import Work


class Chains:
    """Works that wait for another's first attempt.

    Args:
        loop: the runner's loop.
        patience: seconds after which the next one starts although the one before still runs.
        submit: starts a work.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, patience: float, submit: Callable[[Work], None]
    ) -> None:
        self._loop = loop
        self._patience = patience
        self._submit = submit
        # Whoever pops a work has it: the loop to start it, or the heartbeat to give it back.
        self._waiting: dict[int, Work] = {}

    def hold(self, work: Work) -> None:
        """Keep back what follows a work."""
        if work.follower is not None:
            self._waiting[work.follower.seq] = work.follower

    def heads(self, works: Sequence[Work]) -> Sequence[Work]:
        """Return the works that are not kept back."""
        waiting = self._waiting
        return [work for work in works if work.seq not in waiting] if waiting else works

    def started(self, work: Work) -> None:
        """A work that is followed starts. From any thread."""
        self._loop.call_soon_threadsafe(self._wait, work)

    def _wait(self, work: Work) -> None:
        if not work.over:
            self._loop.call_later(self._patience, self.next, work)

    def next(self, work: Work) -> None:
        """Start what follows a work that has ended, or that takes too long."""
        follower, work.follower = work.follower, None
        if follower is not None and self._waiting.pop(follower.seq, None) is not None:
            self._submit(follower)

    def take_one_back(self, work: Work) -> bool:
        """Take this one, if it is kept back. From any thread."""
        return self._waiting.pop(work.seq, None) is not None

    def take_back(self) -> list[Work]:
        """Take everything that is kept back. From any thread."""
        works: list[Work] = []
        while self._waiting:
            try:
                works.append(self._waiting.popitem()[1])
            except KeyError:
                break
        return works
