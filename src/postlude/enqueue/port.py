"""What the web frameworks' side needs of the rest: to prepare jobs, commit them and let them start."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, MutableMapping, Sequence
from typing import Any, Protocol

from postlude.enqueue.joined.target import Joins
from postlude.jobs.handle import Job
from postlude.runner.turn import Turn

__all__ = ["Port", "Prepared", "Turn"]


class Prepared(Protocol):
    """A call that has been bound, validated and encoded, and is not yet stored."""

    @property
    def job(self) -> Job[Any]:
        """The handle that the caller gets. Its id is final."""
        ...

    @property
    def created(self) -> int:
        """When the call was made (microseconds, UTC)."""
        ...

    @property
    def due(self) -> int | None:
        """When its first attempt is due (microseconds, UTC); None: at once."""
        ...

    @property
    def attempts(self) -> int | None:
        """How many attempts its job may have."""
        ...

    @property
    def on_failure(self) -> bool:
        """Whether it is stored although the request fails."""
        ...

    @property
    def concurrent(self) -> bool:
        """Whether it may run beside the other jobs of its request (`@postlude.task` functions)."""
        ...

    def belong_to(self, owner: str | None) -> None:
        """Be this owner's job, unless its call or its task says whose it is."""
        ...


class Port(Protocol):
    """Where requests hand in their jobs. Implemented by `postlude.enqueue.producer.Producer`."""

    joiner: Joins
    """Adds jobs to transactions of the application's."""

    owner: Callable[[MutableMapping[str, Any]], Awaitable[str | None]] | None
    """Says whose the jobs of a request are, by its ASGI scope; None: nobody's."""

    def prepare(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Prepared:
        """Bind, validate and encode a call.

        Raises:
            NotDurable: the function or an argument has no durable form.
            TypeError: the arguments do not fit the function's parameters.
        """
        ...

    async def commit(self, prepared: Sequence[Prepared | Turn], after: Prepared | None = None) -> None:
        """Write jobs to the journal, all or none; returns when they are on disk.

        Tasks in memory stand among them in their places: what is plain and comes after one waits for it.

        Args:
            prepared: in the order in which they were added.
            after: the last plain job of the request that was stored earlier: these wait for it.

        If the caller is cancelled meanwhile, what has been handed to the journal runs once it is
        stored, and the rest is withdrawn.

        Raises:
            JournalUnavailable: not confirmed within the budget; certainly nothing will run,
                unless the process dies right now.
        """
        ...

    def start(self, prepared: Sequence[Prepared]) -> bool:
        """Let committed jobs start: the response has been sent, or could not be. Call it once.

        Returns:
            Whether a runner starts them, or has them in its journal. False: `settle` must run them.
        """
        ...

    async def reach(self, turn: Turn, inline: Collection[asyncio.Task[None]]) -> None:
        """Return when a task in memory may run: the first attempt of the job before it has ended.

        Or after `patience`; a job that waits for a place here has all the time that it needs.

        Args:
            turn: its place.
            inline: what runs the request's jobs, where no runner serves this event loop.
        """
        ...

    @property
    def patience(self) -> float:
        """Seconds that a job waits at most for the task in memory before it."""
        ...

    def free(self, turn: Turn) -> None:
        """Whoever waits for a task in memory, also in the journal, need not any more; `start` comes next."""
        ...

    async def settle(self, prepared: Sequence[Prepared]) -> None:
        """Return when the first attempts of committed, started jobs have ended; raises none of their errors.

        Where no runner serves this event loop (no lifespan), they run inside this call.
        """
        ...

    def serves(self) -> bool:
        """Whether a runner, started by the lifespan, serves the running event loop."""
        ...

    def declares(self, function: Callable[..., Any]) -> bool:
        """Whether a function is declared as a task: what it promises, memory cannot keep."""
        ...

    def in_memory(self, function: Callable[..., Any], why: str) -> None:
        """Count, and warn once of each kind of, a task that has no durable form and runs in memory."""
        ...
