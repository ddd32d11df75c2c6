"""What an engine does. The suite in `postlude.testing.conformance` says the same, as tests."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, runtime_checkable

from postlude.model.limits import Limit, Rate
from postlude.model.queues import Queues
from postlude.model.refusal import Over, Refused
from postlude.model.role import Role

Run = Callable[[Sequence[bytes]], Awaitable[Sequence[Refused]]]
"""Runs the jobs of these ids in this process, and no others; see `postlude.runner.inline.Inline.run`."""


@runtime_checkable
class Hands(Protocol):
    """A `Run` of a process that does nothing else (`Role.told`): jobs are handed over one by one."""

    @property
    def ahead(self) -> int:
        """How many jobs may be handed over while nobody waits for their ends: as many as end in a moment."""
        ...

    def hand(self, id: bytes, over: Over) -> None:
        """Have the job of this id run. From any thread; returns at once.

        Args:
            id: its.
            over: told once, in any thread; also of an error, after which the job may be handed over again.
        """
        ...


@runtime_checkable
class Engine(Protocol):
    """What runs a queue. The application makes one object for it in each of its processes.

    The journal decides what becomes of a job; an engine only says where, and sees to it that somebody asks.
    """

    @property
    def limit(self) -> Limit | None:
        """How many jobs of each of its queues run at once, over all processes."""
        ...

    @property
    def rate(self) -> Rate | None:
        """How many jobs of each of its queues start in a time, over all processes."""
        ...

    @property
    def concurrency(self) -> int | None:
        """How many jobs of each of its queues the application's runner runs at once in one process, in slots
        that they have for themselves; None: in those of all queues."""
        ...

    @property
    def here(self) -> bool:
        """Whether the application's runners claim what waits in its queues: those of all of its processes,
        or of its workers (`Local(run="workers")`).

        Otherwise no runner claims it by itself, nothing is born claimed, and the engine is told of it.
        """
        ...

    @property
    def promise(self) -> float | None:
        """Within how many seconds a job that could start does, where all is well.

        So long is waited for its start where a client waits for jobs (a test client); None: until it starts.
        """
        ...

    def publish(self, queue: str, ids: Sequence[bytes]) -> None:
        """Jobs wait in a queue that is not run `here`: they are committed, and may have run already.

        Told after a commit, and again from time to time as long as they wait, by one process for all. So a
        lost message costs time and no job, and one that comes twice is refused by the journal. Called from
        any thread, also before `start` and after `stop`; quick.
        """
        ...

    async def start(self, run: Run) -> None:
        """The application's lifespan begins: the journal is open. `run` can be called on any event loop.

        Raises:
            Exception: it cannot be started, and so the application cannot.
        """
        ...

    async def stop(self, grace: float) -> None:
        """The lifespan ends: begin nothing more; returns when nothing of it runs here, or after so many
        seconds."""
        ...

    def abandon(self) -> None:
        """The lifespan has ended without its shutdown: begin nothing more. Waits for nothing."""
        ...


Serve = Callable[[Role], AbstractAsyncContextManager[None]]
"""Runs the application's lifespan without a server, in a process that has this role, around what is done."""


class Child(Protocol):
    """One that runs jobs."""

    @property
    def pid(self) -> int: ...

    @property
    def holds(self) -> int: ...


class Parent(Protocol):
    """A worker's own row in the journal, without slots; `postlude.runner.parenthood` has what most do."""

    async def number(self) -> int: ...

    async def children(self, pid: int) -> Sequence[Child]: ...

    async def waits(self) -> bool: ...

    async def deaf(self, seconds: float, ends: bool) -> None: ...

    async def hears(self) -> None: ...

    async def bury(self) -> int: ...

    async def cancel(self, ids: Sequence[bytes], by: str) -> None: ...


Oversee = Callable[[Queues], AbstractAsyncContextManager[Parent]]
"""Has a worker of these queues a row in the journal, in a process in which the application does not start."""


@runtime_checkable
class Carrier(Engine, Protocol):
    """An engine whose broker carries the ids of jobs to processes elsewhere.

    The journal has an outbox for each of its queues (`postlude.stores.outgoing`), and one process for all
    gives the broker what is in it. What the broker does not take waits in the journal, and what it loses is
    given to it again.
    """

    @property
    def epoch(self) -> int:
        """Changes when what the broker has been given may be gone: it was away, or a queue of it was."""
        ...

    async def reach(self, queue: str) -> str | None:
        """Make sure that the broker can be given messages for a queue; returns why it cannot now.

        Asked before each `send`, so it looks only from time to time. Never waits for longer than a few
        seconds, and raises nothing.
        """
        ...

    async def send(
        self, queue: str, ids: Sequence[bytes], traces: Mapping[bytes, Mapping[str, str]]
    ) -> Sequence[bytes]:
        """Give the broker a message with the id of each of these jobs, its trace, and nothing else.

        Args:
            queue: of the jobs.
            ids: theirs.
            traces: by id, the texts (`traceparent`, `tracestate`) by which tracers know the trace that the
                job was added in; for what traces messages itself. The attempt's trace is the journal's.

        Returns:
            the ids of those that it has not confirmed. It may have some of them all the same.
        """
        ...

    def joined(self, queues: Sequence[str], serve: Serve, oversee: Oversee) -> None:
        """An application has it for these queues.

        Args:
            queues: their names.
            serve: starts the application in a process of the engine's worker.
            oversee: keeps the worker's own row.
        """
        ...
