"""A request's trace: OpenTelemetry, Sentry, Datadog and Elastic keep it in context variables.

A job's first attempt, in the process that accepted it, has the trace of its request, and nothing else of it.
None of these is imported here: only what the application has loaded is asked.
"""

import functools
import sys
from asyncio import CancelledError
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextvars import Context, ContextVar, copy_context
from types import TracebackType
from typing import Any, Final, ParamSpec, Protocol, TypeVar

from starlette.background import BackgroundTask, BackgroundTasks

from postlude.telemetry.log import Log

P = ParamSpec("P")
T = TypeVar("T")

log = Log("postlude.jobs")

_KEPT_IN: Final = (
    ("opentelemetry.context", "_RUNTIME_CONTEXT", "_current_context"),
    ("sentry_sdk.scope", "_isolation_scope"),
    ("sentry_sdk.scope", "_current_scope"),
    ("ddtrace.internal.native._native", "DD_CONTEXTVAR"),
    ("elasticapm.context.contextvars", "ContextVarsContext", "elasticapm_transaction_var"),
    ("elasticapm.context.contextvars", "ContextVarsContext", "elasticapm_spans_var"),
)
"""Where each keeps what it knows of a request: the module, and the way to its variable."""

_WAITING: Final = 1000
"""So many traces are kept for jobs that wait in the journal; the oldest goes first."""


class Traced(Protocol):
    """A job that runs here, or is about to; see `postlude.runner.attempt.work.Work`."""

    id: bytes
    fence: int
    started: int
    trace: "Trace | None"


J = TypeVar("J", bound=Traced)


class Trace:
    """What tracers know of one request."""

    __slots__ = ("_held",)

    def __init__(self, held: list[tuple[ContextVar[Any], Any]]) -> None:
        self._held = held

    def enter(self, context: Context) -> None:
        """Put it into a context."""
        for variable, value in self._held:
            # Sentry's scopes are written to: what a job says of itself is not said of its request.
            fork = getattr(value, "fork", None)
            context.run(variable.set, value if fork is None else fork())

    def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function with it."""
        context = copy_context()
        self.enter(context)
        return context.run(function, *args, **kwargs)


class Tracers:
    """The tracers that this process has loaded, and the traces of requests whose jobs wait in the journal."""

    def __init__(self) -> None:
        self._modules = 0
        self._variables: tuple[ContextVar[Any], ...] = ()
        self._waiting: dict[bytes, Trace] = {}
        self._known = False
        """Whether any of them has ever known of a request."""

    def capture(self) -> Trace | None:
        """Return what they know of the request that runs here; None: nothing."""
        if len(sys.modules) != self._modules:
            self._variables = tuple(_loaded())
            self._modules = len(sys.modules)
        for variable in self._variables:
            if variable.get(None):
                self._known = True
                return Trace([(each, value) for each in self._variables if (value := each.get(None))])
        return None

    def keep(self, jobs: Sequence[J]) -> Sequence[J]:
        """Keep the traces of those that wait in the journal until they are claimed; returns all."""
        for job in jobs:
            if job.trace is not None and not job.fence:
                if len(self._waiting) >= _WAITING:
                    del self._waiting[next(iter(self._waiting))]
                self._waiting[job.id] = job.trace
        return jobs

    def give(self, jobs: Sequence[J]) -> Sequence[J]:
        """Give those that are claimed what was kept for them; later attempts have no trace. Returns all."""
        if self._known:
            for job in jobs:
                kept = self._waiting.pop(job.id, None)
                job.trace = None if job.started else job.trace or kept
        return jobs


def _loaded() -> Iterator[ContextVar[Any]]:
    for module, *way in _KEPT_IN:
        found: Any = sys.modules.get(module)
        for name in way:
            found = getattr(found, name, None)
        if isinstance(found, ContextVar):
            yield found


class Observed:
    """A call that is made as the framework's own background tasks are: who watches those sees it.

    FastAPI's own telemetry and OpenTelemetry's instrumentation give each a span.

    Args:
        function: what the call is of; it gives the call its name.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._began = False
        self._value: Any = None
        self._error: BaseException | None = None
        self._traceback: TracebackType | None = None

    async def of(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """Make the call; returns what it returns, and raises what it raises."""

        @functools.wraps(self._function)
        async def observed() -> None:
            self._began = True
            try:
                self._value = await call()
            except BaseException as error:
                self._error, self._traceback = error, error.__traceback__
                raise

        try:
            await framework_tasks()([BackgroundTask(observed)])()
        except (CancelledError, GeneratorExit):
            if self._error is None:
                raise
        except Exception as error:
            if error is not self._error:
                log.debug("what watches background tasks has failed: %r", error)
        if not self._began:
            self._value = await call()
        return self._end()

    def of_sync(self, call: Callable[[], Any]) -> Any:
        """Make a call of a sync function in this thread, where no event loop runs."""

        async def in_thread() -> Any:
            return call()

        coroutine = self.of(in_thread)
        try:
            coroutine.send(None)
        except StopIteration as end:
            return end.value
        finally:
            coroutine.close()
        # Something has waited for an event loop, before the call or after it.
        return self._end() if self._began else call()

    def _end(self) -> Any:
        if self._error is None:
            return self._value
        try:
            raise BaseException.with_traceback(self._error, self._traceback)
        finally:
            self._error = self._traceback = None  # they hold the frames that hold this object


def framework_tasks() -> Callable[[list[BackgroundTask]], BackgroundTasks]:
    """Return the class that an application's own background tasks have."""
    fastapi = sys.modules.get("fastapi.background")
    found: Callable[[list[BackgroundTask]], BackgroundTasks] = getattr(
        fastapi, "BackgroundTasks", BackgroundTasks
    )
    return found
