"""The order of plain functions of one request: each starts when the attempt before it has ended."""

import asyncio
from collections.abc import Callable, Container, Iterable, Sequence

from postlude.clock import SECOND
from postlude.model.job import Hold
from postlude.runner.attempt.work import Work


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
        self.waiting: dict[int, Work] = {}
        self._timers: dict[int, asyncio.TimerHandle] = {}
        """Cancelled when they are not needed: each knows a work, and with it its arguments."""

    def hold(self, work: Work) -> None:
        """Keep back what follows a work."""
        if work.follower is not None:
            self.waiting[work.follower.seq] = work.follower

    def heads(self, works: Sequence[Work]) -> Sequence[Work]:
        """Return the works that are not kept back."""
        waiting = self.waiting
        return [work for work in works if work.seq not in waiting] if waiting else works

    def link(self, before: Work, work: Work) -> None:
        """Let a work follow another."""
        before.follower = work
        self.hold(before)

    def started(self, work: Work) -> None:
        """A work that is followed starts. From any thread."""
        self._loop.call_soon_threadsafe(self._wait, work)

    def _wait(self, work: Work) -> None:
        if not work.over:
            self._timers[work.seq] = self._loop.call_later(self._patience, self.next, work)

    def next(self, work: Work) -> None:
        """Start what follows a work that has ended, or that takes too long."""
        timer = self._timers.pop(work.seq, None)
        if timer is not None:
            timer.cancel()
        follower, work.follower = work.follower, None
        if follower is not None and self.waiting.pop(follower.seq, None) is not None:
            self._submit(follower)

    def take_one_back(self, work: Work) -> bool:
        """Take this one, if it is kept back. From any thread."""
        return self.waiting.pop(work.seq, None) is not None

    def take_back(self, but: Container[int] = ()) -> list[Work]:
        """Take everything that is kept back, `but` these. From any thread."""
        taken = (self.waiting.pop(seq, None) for seq in list(self.waiting) if seq not in but)
        return [work for work in taken if work is not None]

    def holds(self, works: Iterable[Work], now: int, begun: Iterable[Work] = ()) -> list[Hold]:
        """Return the claims of works that are given back: those that follow others go on doing so.

        Args:
            works: what is given back.
            now: the time.
            begun: those whose attempts are given up.
        """
        started = {work.seq: work.started for work in begun if work.current is not None}
        given = {work.seq: work for work in works}
        due: dict[int, int] = {}
        follows: dict[int, int] = {}
        for seq in sorted(given):  # whom others follow comes before them
            follower = given[seq].follower
            if follower is not None:
                due[follower.seq] = due.get(seq, now) + round(self._patience * SECOND)
                follows[follower.seq] = seq
        return [
            Hold(seq, work.fence, due.get(seq), started.get(seq), follows.get(seq))
            for seq, work in given.items()
        ]
