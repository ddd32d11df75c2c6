"""One lifespan of an application: its journal is opened, jobs run, and both come to an end."""

import asyncio
from collections import Counter

from postlude.app.components import Components
from postlude.errors import PostludeError
from postlude.model.queues import Queues
from postlude.model.state import State
from postlude.runner.executors.process import inside
from postlude.telemetry.startup_log import announce, be_heard, count_of


class Lifespan:
    """From the opening of a journal to its end.

    An application may have several at once: nested test clients, or two servers of one process. Each event
    loop has one runner, which stays until the last lifespan of that loop has drained; the journal closes with
    the last lifespan of all.

    Args:
        components: the journal, and what works with it.
    """

    def __init__(self, components: Components) -> None:
        self._components = components
        self._entered = False
        self._served: asyncio.AbstractEventLoop | None = None

    async def open(self) -> None:
        """Open the journal and say where it is, how many jobs wait, and how many are parked.

        Raises:
            PostludeError: this is a process of a task with `run="process"`, which imports the application.
        """
        if inside():
            raise PostludeError(
                'a process of run="process" tasks must not start the application that it imports: put what '
                'starts it under `if __name__ == "__main__":`'
            )
        await self._components.enter(self)
        self._entered = True
        try:
            await self._say_what_waits()
        except BaseException:
            await self.close()
            raise

    async def _say_what_waits(self) -> None:
        store = self._components.store
        jobs: Counter[State] = Counter()
        for count in await store.counts():
            jobs[count.state] += count.jobs
        waiting = count_of(jobs[State.QUEUED] + jobs[State.RUNNING], "job waits", "jobs wait")
        parked = f", {jobs[State.PARKED]} parked" if jobs[State.PARKED] else ""
        announce(f"journal: {store.location}; {waiting}{parked}")
        if self._components.role.worker:
            role = self._components.role
            here = role.queues if role.told else self._components.routing.here
            announce(f"this process is a worker, for {_named(here)}")
        elif left := sorted(self._components.routing.left):
            serving = [runner for runner in await store.living() if runner.serves]
            unserved = [name for name in left if not any(name in runner.queues for runner in serving)]
            none = f"; none takes {', '.join(unserved)} now: start `postlude worker`" if unserved else ""
            announce(f"left to workers: {', '.join(left)}{none}")

    async def start(self) -> None:
        """Have a runner serve this loop."""
        await self._components.serve()
        self._served = asyncio.get_running_loop()

    async def drain(self) -> None:
        """Let the runner of the loop go: with its last lifespan it stops claiming, lets running jobs end,
        and releases the rest."""
        if self._served is not None:
            await self._components.release()
            self._components.producer.memory.sum_up()
            self._served = None  # not before: who is cancelled meanwhile is abandoned

    async def close(self) -> None:
        """Close the journal, if no other lifespan has it open. Does nothing before `open`."""
        served, self._served = self._served, None
        if served is not None:
            self._components.abandon(served)
        if self._entered:
            self._entered = False
            await self._components.leave(self)


def _named(queues: Queues) -> str:
    names = ", ".join(sorted(queues.names))
    if queues.every:
        return "all queues"
    return f"all queues but {names}" if queues.but else f"the queues {names}"


def announce_off() -> None:
    """Say at the start of an application that its Postlude is off."""
    be_heard()
    announce("off: nothing is stored, background tasks run in memory as the framework's own do")
