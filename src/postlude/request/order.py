"""The order of what a request runs: its jobs, and its tasks in memory, each when it is its turn."""

import asyncio
from collections.abc import Sequence
from functools import partial

from postlude.enqueue.port import Port, Prepared, Turn
from postlude.model.event.request import TurnsDropped
from postlude.request.background import run_all, run_one
from postlude.telemetry.process import EVENTS


def last_plain(jobs: Sequence[Prepared]) -> Prepared | None:
    """Return the last of jobs that keeps an order, if there is one."""
    return next((job for job in reversed(jobs) if not job.concurrent), None)


class Order:
    """Lets the jobs of a request start, and runs its tasks in memory, inside the request.

    Made for requests that have such tasks: seldom.

    Args:
        port: where the jobs were handed in.
        begun: those that were let start before.
    """

    def __init__(self, port: Port, begun: Sequence[Prepared]) -> None:
        self._port = port
        self._begun = begun
        self._turns: list[Turn] = []
        self._inline: list[tuple[asyncio.Task[None], Sequence[Prepared]]] = []
        """What runs jobs, where no runner serves the loop."""

    def expect(self, turns: Sequence[Turn]) -> None:
        """These are to run: what waits for them is not started before."""
        self._turns += turns

    def start(self, jobs: Sequence[Prepared]) -> None:
        """Let stored jobs start, but for those that wait for a task in memory."""
        waiting = {id(job) for turn in self._turns if not turn.passed for job in turn.works}
        self._let(jobs if not waiting else [job for job in jobs if id(job) not in waiting])

    async def run(self, turns: Sequence[Turn]) -> None:
        """Run tasks in memory, all of them, in order; then raise the first error."""
        begun, self._begun = self._begun, ()
        self._let(begun)
        try:
            await run_all([partial(self._take, turn) for turn in turns])
        finally:
            self.skip(turns)

    @staticmethod
    def drop(order: "Order | None", turns: Sequence[Turn]) -> None:
        """These will not run, because their request has been cancelled."""
        EVENTS.emit(TurnsDropped(len(turns)))
        if order is not None:
            order.skip(turns)

    def skip(self, turns: Sequence[Turn]) -> None:
        """Nobody waits for these any more: they have run, or will not."""
        for turn in turns:
            self._pass(turn)

    async def settle(self, jobs: Sequence[Prepared]) -> None:
        """Return when the first attempts of jobs have ended; see `Port.settle`."""
        for visit, _ in self._inline:
            await visit
        run = {id(job) for _, some in self._inline for job in some}
        rest = [job for job in jobs if id(job) not in run]
        if rest:
            await self._port.settle(rest)

    async def _take(self, turn: Turn) -> None:
        await self._port.reach(turn, [visit for visit, _ in self._inline])
        timer = asyncio.get_running_loop().call_later(self._port.patience, self._pass, turn)
        try:
            await run_one(turn.task)
        finally:
            timer.cancel()
            self._pass(turn)

    def _pass(self, turn: Turn) -> None:
        if not turn.passed:
            turn.passed = True
            self._port.free(turn)
            self._let(turn.works, turn)

    def _let(self, jobs: Sequence[Prepared], turn: Turn | None = None) -> None:
        if jobs and not self._port.start(jobs):
            earlier = [visit for visit, _ in self._inline]
            visit = asyncio.get_running_loop().create_task(self._visit(jobs, turn, earlier))
            self._inline.append((visit, jobs))

    async def _visit(
        self, jobs: Sequence[Prepared], turn: Turn | None, earlier: Sequence[asyncio.Task[None]]
    ) -> None:
        if turn is None and earlier:
            await asyncio.wait(earlier, timeout=self._port.patience)
        if turn is not None:  # it may not have run, and so it has not waited
            await self._port.reach(turn, [visit for visit, some in self._inline if some is not jobs])
        await self._port.settle(jobs)
