"""The kit behind the fixture: holds the jobs of every Postlude of the process for as long as a test."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

from postlude.app.components import Components
from postlude.app.instances import EVERY_POSTLUDE
from postlude.app.postlude import Postlude
from postlude.clock import SECOND, ManualClock, SystemClock
from postlude.errors import PostludeError
from postlude.testing.held import Held, held_parts
from postlude.testing.rounds import Raised, Round, on_loop, run_due


class Holding(NamedTuple):
    """A Postlude whose jobs are held."""

    before: Components
    """What it worked with before, and works with again afterwards."""
    held: Held


class Kit:
    """Holds jobs, with a clock that is turned by hand.

    Args:
        now: what the clock says at first (microseconds, UTC); None: the time that it is.
    """

    def __init__(self, now: int | None = None) -> None:
        self.clock = ManualClock(SystemClock().now() if now is None else now)
        self.raised: list[Raised] = []
        """What attempts have raised since this was last taken."""
        self._holdings: dict[Postlude, Holding] = {}

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Hold the jobs of every Postlude that there is, and of those that are made meanwhile."""
        try:
            with EVERY_POSTLUDE.watched(self._hold):
                yield
        finally:
            for postlude, holding in self._holdings.items():
                postlude.work_with(holding.before)
            self._holdings.clear()

    @property
    def postludes(self) -> list[Postlude]:
        """Those whose jobs are held."""
        return list(self._holdings)

    def clear(self, postludes: Iterable[Postlude]) -> None:
        """Give each an empty journal."""
        for postlude in postludes:
            before, held = self._holdings[postlude]
            postlude.work_with(held_parts(before, self.clock, held))
            _declare(postlude)

    def _hold(self, postlude: Postlude) -> None:
        if postlude.off:
            return
        before = postlude.components
        holding = Holding(before, Held(before))
        self._holdings[postlude] = holding
        postlude.work_with(held_parts(before, self.clock, holding.held))
        _declare(postlude)

    # Running

    def loops(self, postludes: Iterable[Postlude]) -> list[asyncio.AbstractEventLoop | None]:
        """Return where their jobs run."""
        return [self._holdings[postlude].held.loop for postlude in postludes]

    async def drain(self, postludes: Sequence[Postlude]) -> int | None:
        """Run what is due now, and what that adds, until nothing is; returns when more will be."""
        while True:
            rounds = [await self._round(postlude) for postlude in postludes]
            if not any(ran for ran, _ in rounds):
                moments = [again for _, again in rounds] + [_next_due(postlude) for postlude in postludes]
                return min((moment for moment in moments if moment is not None), default=None)

    async def advance(self, postludes: Sequence[Postlude], seconds: float, schedules: bool = True) -> None:
        """Move the clock, and run what becomes due, each at its time."""
        if schedules:
            for postlude in postludes:
                _declare(postlude)
        if seconds < 0:
            raise PostludeError(f"the clock cannot go back: advance by {seconds} s")
        until = self.clock.now() + round(seconds * SECOND)
        due = _first(await self.drain(postludes), postludes, schedules)
        while due is not None and self.clock.now() < due <= until:
            self._turn_to(due)
            if schedules:
                for postlude in postludes:
                    postlude.components.store.fire().result()
            due = _first(await self.drain(postludes), postludes, schedules)
        self._turn_to(until)
        if not schedules:
            for postlude in postludes:
                _withdraw(postlude)

    async def _round(self, postlude: Postlude) -> Round:
        run = partial(run_due, postlude.components, self.raised)
        return await on_loop(self._holdings[postlude].held.loop, run)

    def _turn_to(self, moment: int) -> None:
        self.clock.advance((moment - self.clock.now()) / SECOND)


def _declare(postlude: Postlude) -> None:
    """Let its schedules count from now on."""
    book = postlude.components.book
    postlude.components.store.declare_schedules(None, book.application, book.schedules).result()


def _withdraw(postlude: Postlude) -> None:
    """Let its schedules count no more, until they are declared again: what the clock has passed is passed."""
    postlude.components.store.declare_schedules(None, postlude.components.book.application, []).result()


def _first(due: int | None, postludes: Sequence[Postlude], schedules: bool) -> int | None:
    """Return which is first of this moment and the next due times of schedules."""
    fires = [postlude.components.store.fire().result().next for postlude in postludes] if schedules else []
    return min((moment for moment in [due, *fires] if moment is not None), default=None)


def _next_due(postlude: Postlude) -> int | None:
    # A memory journal answers at once, on any loop.
    return postlude.components.store.promote().result().next_due
