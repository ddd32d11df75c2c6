"""Background tasks that join a transaction of the application's, instead of following the response."""

from collections.abc import Awaitable, Callable
from functools import partial
from inspect import iscoroutinefunction
from typing import Any, ParamSpec, Protocol, TypeVar, overload

import anyio.from_thread

from postlude.compat import running_loop
from postlude.enqueue.joined.joiner import AwaitedWithin
from postlude.enqueue.joined.target import Give
from postlude.enqueue.port import Prepared
from postlude.errors import CannotJoin
from postlude.jobs.handle import Job
from postlude.request.background import Accepted, RequestTasks, accepted_job
from postlude.request.owners import Owned, give
from postlude.request.responses import accepted

P = ParamSpec("P")
T = TypeVar("T")


class Kept:
    """What is kept of a request's jobs that have joined transactions."""

    __slots__ = ("chains", "prepared")

    def __init__(self) -> None:
        self.prepared: dict[bytes, Prepared] = {}
        """By their ids."""
        self.chains: dict[tuple[int, str], tuple[Any, str, int]] = {}
        """Of plain functions, by connection and queue: the connection, the chain's name and its length."""


class Joining(Owned, Protocol):
    """A request, as far as those of its jobs need it that join a transaction."""

    joined: "Kept | None"

    def prepare(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Prepared: ...


class _Joined:
    """What both kinds do."""

    def __init__(self, request: Joining, connection: Any, way: Any) -> None:
        self._request = request
        self._connection = connection
        self._way = way
        if request.joined is None:
            request.joined = Kept()
        self._kept = request.joined

    def ticket(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the call as it is written to the transaction, and its job."""
        request = self._request
        prepared = request.prepare(function, args, kwargs)
        chain, due = self._follow(prepared)
        asks = None
        if request.port.owner is not None:
            asks = partial(give, request, [prepared])
            if not self._way.waits:
                _ask_here(request, prepared, asks)
                asks = None
        ticket = request.port.joiner.check(prepared, chain, due, asks)
        self._kept.prepared[prepared.job.raw_id] = prepared
        return ticket, prepared.job

    def _follow(self, prepared: Prepared) -> tuple[str | None, int | None]:
        """Return the chain that a plain function's job is in, and when it waits no longer."""
        if prepared.concurrent:
            return None, None
        request, key = self._request, (id(self._connection), prepared.job.queue)
        chains = self._kept.chains
        _, name, links = chains.get(key) or (None, prepared.job.raw_id.hex(), 0)
        chains[key] = self._connection, name, links + 1
        return name, prepared.created + round(links * request.port.patience * 1_000_000) if links else None


def _ask_here(request: Joining, prepared: Prepared, asks: Give) -> None:
    """Have a job's owner asked for where nothing can be awaited."""
    if hasattr(request, "owner"):
        prepared.belong_to(request.owner)
    elif running_loop() is None:
        anyio.from_thread.run(asks)
    else:
        raise CannotJoin(
            "whose the jobs of this request are (Postlude(owner=...)) cannot be asked here, in async code "
            "with a sync session or connection: use an AsyncSession, or make the path operation `def`"
        )


class JoinedTasks(RequestTasks):
    """The background tasks of a request that join a transaction: what `tasks.within(session)` returns.

    They are stored by its commit, and gone if it, or a savepoint around them, is undone.
    """

    def __init__(self, request: Joining, connection: Any, way: Any) -> None:
        super().__init__()
        self._joined = _Joined(request, connection, way)
        self._request = request
        self._way = way

    @overload  # type: ignore[override]
    def add_task(self, func: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> Job[T]: ...

    @overload
    def add_task(self, func: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Job[T]: ...

    def add_task(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Job[Any]:
        """Add a call to the transaction and return the handle of its job.

        Raises:
            NotDurable: the function or an argument has no durable form.
            CannotJoin: the call cannot be part of this transaction. RequestOver: the request has ended.
        """
        ticket, job = self._joined.ticket(func, args, kwargs)
        self._way.write(ticket)
        return job  # type: ignore[no-any-return]

    def accepted(self, job: Job[T]) -> Accepted[T]:
        """Return the body of a 202 for a job; see `RequestTasks.accepted`."""
        found: Accepted[T] = accept(self._request, job, None)
        return found

    def within(self, connection: Any) -> Any:
        """Return what joins another transaction of the request; see `RequestTasks.within`."""
        return within(self._request, connection)


class AwaitedTasks(AwaitedWithin):
    """The background tasks of a request that join a transaction whose connection has to be awaited."""

    def __init__(self, request: Joining, connection: Any, way: Any) -> None:
        super().__init__(request.port.joiner, way)
        self._joined = _Joined(request, connection, way)

    def prepare(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return a call as it is written to the transaction, and its job."""
        return self._joined.ticket(function, args, kwargs)


def within(request: Joining, connection: Any) -> Any:
    """Return what adds a request's jobs to the transactions of a session or a connection."""
    way = request.port.joiner.way(connection)
    kind = AwaitedTasks if iscoroutinefunction(way.write) else JoinedTasks
    return kind(request, connection, way)


def accept(request: Any, job: Any, prepared: Prepared | None) -> Any:
    """Let a request's response point to a job, and return its body."""
    request.accepted = accepted_job(job)
    joined = None if request.joined is None else request.joined.prepared.get(job.raw_id)
    return accepted(job, request.scope, prepared or joined)
