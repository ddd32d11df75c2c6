"""Background tasks for responses: Starlette's, by hand or as a parameter, that can become jobs.

Without a Postlude they are what Starlette's are: they run after the response, in order, in memory.
In a request that a Postlude watches, their calls are bound and encoded on the line that makes them.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextvars import ContextVar
from copy import deepcopy
from typing import Any, Final, ParamSpec, Protocol, Self, TypeVar, overload

from starlette.background import BackgroundTask as StarletteBackgroundTask
from starlette.background import BackgroundTasks as StarletteBackgroundTasks

from postlude.compat import is_async_callable
from postlude.enqueue.joined.connections import ClosesLater, CommitsAtOnce, HasSyncSession
from postlude.enqueue.joined.joiner import AwaitedWithin
from postlude.enqueue.port import Port, Prepared
from postlude.errors import PostludeError
from postlude.jobs.handle import Job
from postlude.jobs.view import JobView
from postlude.messages.quoting import quoted
from postlude.model.event.request import MemoryTaskFailed
from postlude.telemetry.process import EVENTS
from postlude.telemetry.tracing import framework_tasks

P = ParamSpec("P")
T = TypeVar("T")


class Collector(Protocol):
    """The running request, as far as tasks made by hand need it."""

    port: Port

    def prepare(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Prepared:
        """Bind, validate and encode a call; see `postlude.enqueue.port.Port.prepare`."""
        ...


CURRENT: Final[ContextVar[Any]] = ContextVar("postlude_request", default=None)
"""The `Receipt` of the request that runs here; None outside, and in other applications."""


class Copied:
    """A task whose copies are the same call: a response that lists them lists it."""

    def __copy__(self) -> Self:
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        copy.__dict__["original"] = self.__dict__.get("original", self)
        return copy

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        copy = memo[id(self)] = self.__copy__()
        for name in ("args", "kwargs"):
            copy.__dict__[name] = deepcopy(self.__dict__[name], memo)
        return copy


class BackgroundTask(Copied, StarletteBackgroundTask):
    """One call that is made after the response.

    Returned as ``Response(..., background=BackgroundTask(function, ...))`` it becomes a job where
    the route gives receipts: any FastAPI path operation, or `postlude.starlette.Route`. Elsewhere
    it runs in memory.

    Raises:
        NotDurable: in a request that a Postlude watches, the function or an argument has no
            durable form.
        RequestOver: it is made in the context of a request that has ended.
    """

    def __init__(self, func: Callable[P, Any], *args: P.args, **kwargs: P.kwargs) -> None:
        self.func, self.args, self.kwargs = func, args, kwargs  # type: ignore[assignment]
        self.collector: Collector | None = CURRENT.get()
        self.prepared: Prepared | None = None
        if self.collector is not None:
            self.prepared = self.collector.prepare(func, args, kwargs)

    @property
    def is_async(self) -> bool:  # type: ignore[override]
        """Whether the function is awaited instead of run in a thread."""
        return is_async_callable(self.func)


class Collected(BackgroundTask):
    """A call that the background tasks of a request have taken in."""

    def __init__(
        self,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        prepared: Prepared,
        collector: Collector,
    ) -> None:
        self.func, self.args, self.kwargs = func, args, kwargs  # type: ignore[assignment]
        self.prepared: Prepared | None = prepared
        self.collector = collector


class InMemory(Copied, StarletteBackgroundTask):
    """A call that has been found to have no durable form."""


class BackgroundTasks(StarletteBackgroundTasks):
    """Calls that are made after the response, in the order in which they were added.

    In memory, the first one that raises keeps the later ones from running, as with Starlette's;
    as jobs they are independent of each other.
    """

    def __init__(self, tasks: Sequence[StarletteBackgroundTask] | None = None) -> None:
        super().__init__(tasks)

    def add_task(self, func: Callable[P, Any], *args: P.args, **kwargs: P.kwargs) -> None:
        """Add a call.

        Raises:
            NotDurable: in a request that a Postlude watches, the function or an argument has no
                durable form.
            RequestOver: the request of this context has ended.
        """
        self.tasks.append(BackgroundTask(func, *args, **kwargs))


Accepted = JobView
"""The body of a 202: the job as it is, in the form of what the status route tells of it later."""


class RequestTasks(BackgroundTasks):
    """The background tasks of one request, as a parameter of path operations and dependencies.

    Public as `postlude.fastapi.BackgroundTasks`. All parameters of a request, whichever annotation
    they have, get one object.
    """

    @overload  # type: ignore[override]
    def add_task(self, func: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> Job[T]: ...

    @overload
    def add_task(self, func: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Job[T]: ...

    def add_task(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Job[Any]:
        """Add a call and return the handle of its job.

        The job is stored when the request has succeeded, and starts after the response.

        Raises:
            NotDurable: the function or an argument has no durable form.
            RequestOver: the request has ended.
        """
        raise PostludeError(_BY_HAND)

    @overload
    def within(self, connection: HasSyncSession) -> "RequestTasks": ...

    @overload
    def within(self, connection: CommitsAtOnce) -> "RequestTasks": ...

    @overload
    def within(self, connection: ClosesLater) -> AwaitedWithin: ...

    def within(self, connection: Any) -> Any:
        """Return what adds jobs to the transactions of a session or a connection, instead of to the response.

        They are stored by its commit, start after it, and are gone if it, or a savepoint around them, is
        undone; see `Postlude.within`.

        Raises:
            CannotJoin: none can join them.
        """
        raise PostludeError(_BY_HAND)

    def accepted(self, job: Job[T]) -> Accepted[T]:
        """Return the body of a 202 for a job, and let the response point to it.

        The response gets ``Location``, if the application has the status route
        (``app.include_router(postlude.router(...))``), and ``Retry-After``.

        Raises:
            TypeError: `job` is not what `add_task` has returned.
        """
        raise PostludeError(_BY_HAND)


def accepted_job(job: Any) -> Job[Any]:
    """Make sure that a response is to point to a job.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(job, Job):
        theirs = "; FastAPI's own BackgroundTasks returns none: import it from postlude.fastapi"
        raise TypeError(
            f"tasks.accepted({quoted(job)}): give the Job that add_task has returned"
            f"{theirs if job is None else ''}"
        )
    return job


_BY_HAND = (
    "postlude.fastapi.BackgroundTasks is a parameter type: FastAPI passes the request's own object. "
    "By hand, use postlude.BackgroundTasks."
)


async def run_one(task: Callable[[], Awaitable[Any]]) -> None:
    """Run a task in memory as the framework runs its own, for whoever watches those."""
    if isinstance(task, StarletteBackgroundTask) and hasattr(task, "func"):  # no list of tasks
        await framework_tasks()([task])()
    else:
        await task()


async def run_all(tasks: Iterable[Callable[[], Awaitable[Any]]]) -> None:
    """Run tasks in memory, one after another, all of them; then raise the first error."""
    first: Exception | None = None
    for task in tasks:
        try:
            await task()
        except Exception as error:
            if first is None:
                first = error
            else:
                name = getattr(getattr(task, "func", task), "__qualname__", None) or repr(task)
                EVENTS.emit(MemoryTaskFailed(name, error))
    if first is not None:
        raise first
