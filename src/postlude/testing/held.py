"""Holding jobs: what an application adds in a test is stored, and runs when the test says so."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from postlude.app.components import Components
from postlude.clock import Clock
from postlude.model.job import Added
from postlude.runner.attempt.work import Work
from postlude.runner.runner import Runner
from postlude.stores.memory import MemoryStore
from postlude.stores.reply import Reply


class Held:
    """Takes the place of whatever would run jobs by itself, and runs none.

    Args:
        before: what the Postlude worked with until now; a lifespan may be running with it.
    """

    def __init__(self, before: Components) -> None:
        self._before = before
        self._loops: list[asyncio.AbstractEventLoop] = []

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop on which a lifespan runs, whose resources jobs may use; None: there is none."""
        before = [runner.loop for runner in self._before.producer.runners]
        loops = [loop for loop in before + self._loops if not loop.is_closed()]
        return loops[-1] if loops else None

    # In a request

    @property
    def runners(self) -> Sequence[Runner]:
        """Nothing is run."""
        return ()

    async def runner(self) -> None:
        """Let what is committed be queued."""

    async def settle(self, works: Sequence[Work]) -> None:
        """Keep nobody waiting for what is held."""

    def let_go(self, works: Sequence[Work], reply: Reply[list[Added]]) -> None:
        """What is queued is nobody's."""

    def look_in(self, opened: Callable[[], Awaitable[None]]) -> None:
        """What waits is held."""

    def close(self) -> None:
        """What was stored stays readable."""

    # In a lifespan

    async def start(self) -> None:
        """Remember the loop."""
        self._loops.append(asyncio.get_running_loop())

    def abandon(self) -> None:
        """Forget the loop."""
        self._loops.remove(asyncio.get_running_loop())

    async def stop(self) -> None:
        """Forget it."""
        self.abandon()


def held_parts(before: Components, clock: Clock, held: Held) -> Components:
    """Return parts with an empty journal in memory, whose jobs are held."""
    components = Components(
        MemoryStore(clock),
        before.registry,
        before.config,
        clock,
        before.execution,
        before.queues,
        inline=held,
        service=lambda: held,
        book=before.book,
    )
    components.ensure_open()
    components.absence.said = True  # the test runs them
    return components
