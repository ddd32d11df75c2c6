"""Which transactions jobs can join, and adding them there."""

import sys
from asyncio import AbstractEventLoop
from collections.abc import Awaitable, Callable, Sequence
from inspect import iscoroutinefunction
from typing import Any, ParamSpec, Protocol, TypeVar, overload

from postlude.enqueue.joined.announcer import Announcer
from postlude.enqueue.joined.arrival import arrival
from postlude.enqueue.joined.drivers import way_of as way_of_driver
from postlude.enqueue.joined.target import AwaitedWay, Deferral, Give, Joins, Journal, Target, Way, tell_of
from postlude.enqueue.producer import Producer
from postlude.enqueue.terms import carry
from postlude.errors import CannotJoin, JobRefused
from postlude.jobs.handle import Job
from postlude.model.job import NewJob
from postlude.model.joining import Joining, in_calls, text_of
from postlude.model.terms import Conflict
from postlude.runner.attempt.work import Work
from postlude.stores.memory import MemoryStore
from postlude.stores.protocol import Store

P = ParamSpec("P")
R = TypeVar("R")


class Ticket:
    """A call on its way into a transaction.

    Args:
        work: the call.
        chain: names those of a request of which each waits for the one before it.
        due: how long it waits for that at most (microseconds, UTC).
        give: asks whose it is.
    """

    def __init__(
        self, work: Work, chain: str | None = None, due: int | None = None, give: Give | None = None
    ) -> None:
        self._work = work
        self._chain = chain
        self._due = due
        self.give = give

    def joining(self) -> Joining:
        """Return what is written."""
        job: NewJob = self._work.new_job(self._chain is not None, self._due)
        return Joining(job, self._chain)


class Outbox(Target, Protocol):
    """A table in which jobs wait; see `postlude.enqueue.joined.outbox`."""

    def is_of(self, engine: Any) -> bool:
        """Whether transactions of this engine can write here."""
        ...

    async def open(self, store: Store) -> None:
        """Make the table, if it is missing, and take over what is there."""
        ...

    def open_here(self, store: Store) -> None:
        """Do so without an event loop."""
        ...

    async def close(self) -> None:
        """Take over nothing more."""
        ...

    async def has(self, id: bytes) -> bool:
        """Whether a job waits there. Raises what the driver does."""
        ...

    async def waiting(self) -> int:
        """Return how many jobs wait there."""
        ...

    def waiting_here(self, seconds: float, busy: AbstractEventLoop | None) -> int:
        """Return it in this thread, which waits so long at most; nothing can be asked of the `busy` loop."""
        ...


class Joiner:
    """Finds the way into a transaction.

    Args:
        producer: makes jobs of calls.
        store: the journal.
        opened: opens it, if nobody has. Blocks.
        budget: seconds that who asks for a job waits for it to come out of an outbox.
    """

    def __init__(self, producer: Producer, store: Store, opened: Callable[[], None], budget: float) -> None:
        self._budget = budget
        self._producer = producer
        self._store = store
        self._opened = opened
        self._announcer = Announcer(self._look)
        self._journal: Journal | None = None
        self._deferral = Deferral(self._add)
        self.outboxes: Sequence[Outbox] = ()
        """Those that the application has declared."""

    def way(self, connection: Any) -> Way | AwaitedWay:
        """Return how a session or a connection is written to.

        Raises:
            CannotJoin: it is none that is known, or no job can join its transactions.
        """
        if "sqlalchemy" in sys.modules and type(connection).__module__.partition(".")[0] not in _DRIVERS:
            from postlude.enqueue.joined import sessions

            way = sessions.way_of(connection, self._target_of)
            if way is not None:
                return way
        journal = self._journal_here()
        driver = None if journal is None else way_of_driver(connection, journal)
        if driver is not None:
            return driver
        raise CannotJoin(
            f"within({type(connection).__qualname__}): give a session or a connection of SQLAlchemy, or, "
            f"where the journal is in the same PostgreSQL, a connection of psycopg or asyncpg"
        )

    def ticket(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Work, Ticket]:
        """Prepare a call for a transaction."""
        work = self._producer.prepare(function, args, kwargs)
        return work, self.check(work)

    def check(
        self, work: Work, chain: str | None = None, due: int | None = None, give: Give | None = None
    ) -> Ticket:
        """Make sure that a call can be part of a transaction.

        Raises:
            CannotJoin: it is to be refused if its key is taken, which cannot be known then.
            JobRefused: a text of it has a null character in it.
        """
        terms = work.terms
        if terms.key is not None and terms.conflict is Conflict.RAISE:
            raise CannotJoin(
                f'{work.name}: on_conflict="raise" cannot join a transaction, since whether the key is taken '
                f'is not known until that is committed; use "keep" or "replace"'
            )
        if self._producer.carried.carriers:
            carry(self._producer.carried, [work])
        self._producer.sync_limits.tell()
        ticket = Ticket(work, chain, due, give)
        try:
            text_of([ticket.joining()])
        except ValueError as error:
            raise JobRefused(f"{work.name}: {error}") from None
        return ticket

    async def start(self) -> None:
        """Make outboxes that are not there, and take over what has been left in them. Does so once."""
        for outbox in self.outboxes:
            await outbox.open(self._store)

    async def stop(self) -> None:
        """Take over nothing more."""
        for outbox in self.outboxes:
            await outbox.close()

    async def arrive(self, id: bytes) -> None:
        """Return when the journal has a job, or no outbox has it.

        Raises:
            JournalUnavailable: it has not come out of an outbox within `Config.budget`, or none can be asked.
        """
        if self.outboxes:
            await arrival(self.outboxes, self._store, id, self._budget)

    def close(self) -> None:
        """The journal is about to be closed."""
        self._announcer.stop()
        self._journal = None

    def _target_of(self, engine: Any) -> Target | Deferral:
        if isinstance(self._store, MemoryStore):
            return self._deferral
        for outbox in self.outboxes:
            if outbox.is_of(engine):
                self._opened()
                outbox.open_here(self._store)
                return outbox
        journal = self._journal_here() if engine.dialect.name == "postgresql" else None
        if journal is not None:
            return journal
        or_there = '; or have the journal there, store="postgresql://..."'
        also = or_there if engine.dialect.name == "postgresql" else ""
        raise CannotJoin(
            f"this session's database ({engine.dialect.name}) does not have the journal, which is "
            f"{self._store.location}: let its jobs wait in a table there, with postlude.outbox(engine){also}"
        )

    def _journal_here(self) -> Journal | None:
        if self._journal is None:
            self._opened()
            entrance = self._store.entrance()
            if entrance is not None:
                self._journal = Journal(entrance, self._look, self._announcer.expect)
        return self._journal

    def _add(self, joinings: Sequence[Joining]) -> None:
        """Add jobs to a journal in memory, whose answers are there at once."""
        self._opened()
        for jobs in in_calls(list(joinings)):
            tell_of(self._store, jobs, self._store.add(jobs).result())

    def _look(self) -> None:
        reply = self._store.promote()
        if reply.future is not None:
            reply.then(lambda _: None)  # what fails is looked for again, by whoever promotes next


_DRIVERS = frozenset({"psycopg", "asyncpg"})


class Within:
    """The jobs of a transaction: they are stored by its commit, and gone if it is undone.

    What `postlude.within(session)` returns.
    """

    def __init__(self, joiner: Joins, way: Way) -> None:
        self._joiner = joiner
        self._way = way

    @overload
    def add_task(
        self, function: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Job[R]: ...

    @overload
    def add_task(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Job[R]: ...

    def add_task(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Job[Any]:
        """Add a job to the transaction; returns its handle.

        Raises:
            NotDurable: the function or an argument has no durable form.
            CannotJoin: the call cannot be part of this transaction.
        """
        work, ticket = self._joiner.ticket(function, args, kwargs)
        self._way.write(ticket)
        job: Job[Any] = work.job
        return job


class AwaitedWithin:
    """The jobs of a transaction whose connection has to be awaited; see `Within`."""

    def __init__(self, joiner: Joins, way: AwaitedWay) -> None:
        self._joiner = joiner
        self._way = way

    @overload
    async def add_task(
        self, function: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Job[R]: ...

    @overload
    async def add_task(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Job[R]: ...

    async def add_task(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Job[Any]:
        """Add a job to the transaction; returns its handle.

        Raises:
            NotDurable: the function or an argument has no durable form.
            CannotJoin: the call cannot be part of this transaction.
        """
        ticket, job = self.prepare(function, args, kwargs)
        await self._way.write(ticket)
        return job  # type: ignore[no-any-return]

    def prepare(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return a call as it is written to the transaction, and its job."""
        work, ticket = self._joiner.ticket(function, args, kwargs)
        return ticket, work.job


def within(joiner: Joiner, connection: Any) -> Within | AwaitedWithin:
    """Return what adds jobs to the transactions of a session or a connection.

    Raises:
        CannotJoin: none can join them.
    """
    way: Any = joiner.way(connection)
    return AwaitedWithin(joiner, way) if iscoroutinefunction(way.write) else Within(joiner, way)
