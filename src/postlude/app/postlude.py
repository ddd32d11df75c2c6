"""`Postlude`: puts configuration, journal, registry, runner and framework together."""

import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, overload

from starlette.applications import Starlette

from postlude.app.components import Components
from postlude.app.counters import Counters
from postlude.app.dashboard import dashboard
from postlude.app.forwarding import of_lifespan
from postlude.app.instances import EVERY_POSTLUDE
from postlude.app.joining import outbox, outboxes_of, within
from postlude.app.lifecycle import Lifespan, announce_off
from postlude.app.maker import for_role, name_of, refuse_mistaken, root_of
from postlude.app.metrics import metrics_app
from postlude.app.router import router
from postlude.app.scheduling import cron, every
from postlude.app.told import join_engines
from postlude.app.verbs import Verbs
from postlude.clock import Clock, SystemClock
from postlude.config import Config
from postlude.engines.protocol import Engine
from postlude.engines.routing import checked_queues
from postlude.enqueue.blocking import Blocking
from postlude.enqueue.port import Port
from postlude.errors import PostludeError
from postlude.frameworks.injection import ApplicationInjection
from postlude.frameworks.install import (
    hook,
    hook_if_possible,
    install,
    install_passthrough,
    say_what_is_not_durable,
)
from postlude.frameworks.owner import ApplicationOwner
from postlude.jobs.handle import Job
from postlude.jobs.inspector import Inspector
from postlude.messages.spelling import parameters_of, refuse_unknown, tells_what_to_write
from postlude.model.role import this_process
from postlude.request.exception_handlers import watch_handlers
from postlude.request.passthrough import Passthrough, PassthroughBlocking, passing_state
from postlude.runner.executors.pool import ExecutionContext
from postlude.stores.memory import MemoryStore
from postlude.stores.open import choose_store
from postlude.stores.protocol import Store
from postlude.tasks.call import Call
from postlude.tasks.context import Carried
from postlude.tasks.registry import Registry
from postlude.tasks.schedules import ScheduleBook
from postlude.telemetry.startup_log import be_heard

P = ParamSpec("P")
R = TypeVar("R")


@tells_what_to_write("postlude")
class Postlude(Verbs):
    """Durable background tasks for one FastAPI or Starlette application.

    Args:
        app: the application; or call `install` with it later.
        store: where jobs are kept: `"sqlite:///postlude.db"` (the default), `"memory"`, or a store; or
            `"off"`: the frameworks as they are, with nothing stored. The variable `POSTLUDE_STORE`
            overrides a text.
        packages: top-level packages whose functions are the application's own, besides what lies
            beside the module that makes this object.
        strict: only functions declared with `task` are tasks.
        delivery: `"at_most_once"` for an application whose tasks must not run again after a crash.
        config: numbers and switches.
        clock: the time; for tests.
        context: context variables (a request's id, a tenant) whose values travel with the jobs.
        queues: what runs queues, by name; others, `Local()`: `{"mail": Local(rate=Rate(100, per=60))}`.
        owner: says whose a request's jobs are, a text or None; a dependency of FastAPI, or a function of
            the request. Asked once when a request's jobs are stored; what it raises is the answer then.

    When off, background tasks run in memory after the response, as FastAPI's own do, also those of
    `postlude.fastapi.BackgroundTasks`, whose handles name jobs that nothing knows (404). What is added
    outside of a request (`add_task`, `add_tasks`, `blocking`) runs before the call returns, so that
    none is lost and a debugger sees it; what it raises is logged. Declared tasks get what `Depends` fills.

    Raises:
        JournalRefused: `store` is not understood.
        TypeError: `app` is no application, or `config` no `Config`.
        UnsupportedFramework: this version of FastAPI does not behave as needed.
    """

    if not TYPE_CHECKING:  # checkers know what there is

        def __new__(cls, *args: Any, **kwargs: Any) -> Any:
            """Say what was meant by a keyword that is not there."""
            refuse_unknown(cls.__name__, kwargs, parameters_of(cls.__init__), Config.__annotations__)
            return super().__new__(cls)

    def __init__(
        self,
        app: Starlette | None = None,
        *,
        store: str | Store | None = None,
        packages: Iterable[str] = (),
        strict: bool = False,
        delivery: Literal["at_least_once", "at_most_once"] = "at_least_once",
        config: Config | None = None,
        clock: Clock | None = None,
        context: Iterable[ContextVar[Any]] = (),
        queues: Mapping[str, Engine] | None = None,
        owner: Callable[..., Any] | None = None,
    ) -> None:
        refuse_mistaken(app, delivery, config)
        self.config = for_role(config or Config(), this_process())
        clock = clock or SystemClock()
        self._registry = Registry(
            packages=packages,
            root=root_of(sys._getframe(1).f_globals),
            strict=strict,
            max_payload=self.config.max_payload,
            max_depth=self.config.max_depth,
            max_result=self.config.max_result,
            delivery=delivery,
            carried=(carried := Carried(context)),
        )
        self.task = self._registry.task
        """Declares a task; still a function: `@postlude.task`, `@postlude.task(...)`, `postlude.task(f)`."""
        application = name_of(sys._getframe(1).f_globals, app)
        chosen = choose_store(store, clock, application)
        self.book = book = ScheduleBook(self._registry, application)
        self.application: Starlette | None = None
        """The application that it has joined."""
        self._injection = ApplicationInjection(passing_state)
        self._registry.fill = self._injection.fill
        self._owner = None if owner is None else ApplicationOwner(owner)
        self._off = Passthrough(self._registry, self._injection.fill) if chosen is None else None
        kept: Store = MemoryStore(clock) if chosen is None else chosen
        execution = ExecutionContext(carried)
        execution.injection = self._injection
        engines = checked_queues(queues)
        self.work_with(Components(kept, self._registry, self.config, clock, execution, engines, book=book))
        join_engines(self, engines)
        self._lifespan = self.begin()
        # Already here, for the routes that are made before `install`.
        (hook if self._off is None else hook_if_possible)()
        EVERY_POSTLUDE.enter(self)
        if app is not None:
            self.install(app)

    # -- outside of requests --------------------------------------------------------------------

    @overload
    async def add_task(
        self, function: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Job[R]: ...

    @overload
    async def add_task(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Job[R]: ...

    async def add_task(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Job[Any]:
        """Store a job now; returns when it is on disk.

        Raises:
            NotDurable: the function or an argument has no durable form.
            JournalUnavailable: not confirmed within the budget.
        """
        if self._off is not None:
            return await self._off.run(function, args, kwargs)
        return await self._components.add_one(function, args, kwargs)

    async def add_tasks(
        self, calls: Iterable[Call | Callable[[], Any]], *, atomic: bool = False
    ) -> list[Job[Any]]:
        """Store many jobs, in groups that let others in between; returns their handles in order.

        Args:
            calls: made by `task.call(...)`, or `functools.partial` objects of plain functions.
            atomic: all or none, in one transaction; at most 10,000.

        Raises:
            JournalUnavailable: a group was not confirmed; those before it are stored.
        """
        if self._off is not None:
            return await self._off.run_all(calls)
        return await self._components.add_all(calls, atomic=atomic)

    @property
    def blocking(self) -> Blocking:
        """Adding jobs, acting on them and waiting for them, from sync code."""
        parts = self._components
        if self._off is None:
            return parts.blocking
        return PassthroughBlocking(self._off, parts.verbs)

    metrics = metrics_app
    dashboard = dashboard

    @property
    def counters(self) -> Counters:
        """What operators should look at, of this process: tasks in memory only, threads that hang."""
        return self._components.counters

    def install(self, app: Starlette) -> None:
        """Join an application, before it has started.

        Raises:
            PostludeError: it has started or has a Postlude already, or this Postlude has another one.
            UnsupportedFramework: its version does not behave as needed.
        """
        if self.application is app:
            return
        if self.application is not None:
            raise PostludeError("this Postlude has an application already; make another for another one")
        if self._off is None:
            install(app, self, self._injection.keep_state)
        else:
            install_passthrough(app, self._off, announce_off, self._injection.keep_state)
        self.application = app
        self._injection.join(app)
        if self._owner is not None:
            self._owner.join(app)

    router = router
    cron = cron
    every = every
    within = within
    outbox = outbox

    @property
    def off(self) -> bool:
        """Whether this Postlude stores nothing (`POSTLUDE_STORE=off`)."""
        return self._off is not None

    def verify(self) -> None:
        """Make sure that every route gives receipts."""
        assert self.application is not None
        be_heard()
        hook(self.application)
        watch_handlers(self.application, lambda: self.port)
        self._registry.check()
        say_what_is_not_durable(self.application)

    # -- the lifespan ---------------------------------------------------------------------------

    def look_in(self) -> None:
        """Let run what waits in the journal: a request has come, and no lifespan runs."""
        self._components.look_in()

    def begin(self) -> Lifespan:
        """Return a new lifespan of the application; it may have several at once."""
        return Lifespan(self._components)

    async def open(self) -> None:
        """Open the journal, where no server runs the application's lifespan; see `Lifespan.open`."""
        self._lifespan = self.begin()
        await self._lifespan.open()

    start = of_lifespan(Lifespan.start)
    drain = of_lifespan(Lifespan.drain)
    close = of_lifespan(Lifespan.close)

    # -- what it works with ---------------------------------------------------------------------

    @property
    def inspector(self) -> Inspector:
        """Looking at jobs: `get`, `page`, `counts`."""
        return self._components.inspector

    @property
    def components(self) -> Components:
        """Its journal, and what works with it."""
        return self._components

    def work_with(self, components: Components) -> None:
        """Work with another journal from now on; for tests.

        Requests that are under way end with the one that they began with, and so does a lifespan.
        """
        self._components = components
        components.producer.owner = self._owner
        components.joiner.outboxes = outboxes_of(self)
        # A port is only ever given back what it has prepared itself.
        self.port: Port = components.producer  # type: ignore[assignment]
        """Where the application's requests hand in their jobs."""
