"""`Postlude`: puts configuration, journal, registry, runner and framework together."""

import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, Literal, ParamSpec, TypeVar, Unpack, overload

from starlette.applications import Starlette

from postlude.app.components import Components
from postlude.app.instances import Instances
from postlude.app.lifecycle import Lifespan
from postlude.app.maker import name_of, root_of
from postlude.app.verbs import Verbs
from postlude.clock import Clock, SystemClock
from postlude.config import Config
from postlude.engines.local import Local, checked_queues
from postlude.enqueue.bulk import Blocking
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
from postlude.jobs.inspector import Inspector
from postlude.messages.quoting import quoted
from postlude.request.exception_handlers import watch_handlers
from postlude.request.passthrough import Passthrough, PassthroughBlocking, passing_state
from postlude.runner.executors.pool import ExecutionContext
from postlude.stores.memory import MemoryStore
from postlude.stores.open import choose_store
from postlude.stores.protocol import Store
from postlude.tasks.context import Carried
from postlude.tasks.options import TaskOptions
from postlude.tasks.registry import Registry
from postlude.tasks.task import Task
from postlude.telemetry.startup_log import announce, be_heard

if TYPE_CHECKING:
    from fastapi import APIRouter

P = ParamSpec("P")
R = TypeVar("R")


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
        queues: limits and rates of queues, by name: `{"mail": Local(rate=Rate(100, per=60))}`.

    When off, background tasks run in memory after the response, as FastAPI's own do, also those of
    `postlude.fastapi.BackgroundTasks`, whose handles name jobs that nothing knows (404). What is added
    outside of a request (`add_task`, `add_tasks`, `blocking`) runs before the call returns, so that
    none is lost and a debugger sees it; what it raises is logged. Declared tasks get what `Depends` fills.

    Raises:
        JournalRefused: `store` is not understood.
        TypeError: `app` is no application, or `config` no `Config`.
        UnsupportedFramework: this version of FastAPI does not behave as needed.
    """

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
        queues: Mapping[str, Local] | None = None,
    ) -> None:
        if delivery not in ("at_least_once", "at_most_once"):
            raise ValueError(f'delivery= must be "at_least_once" or "at_most_once", not {quoted(delivery)}')
        if app is not None and not isinstance(app, Starlette):
            raise TypeError(
                f"Postlude({quoted(app)}): give the application first, FastAPI() or Starlette(), or none; "
                f"the journal is store="
            )
        if config is not None and not isinstance(config, Config):
            raise TypeError(f"config={quoted(config)}: give a postlude.Config(...)")
        self.config = config or Config()
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
        chosen = choose_store(store, clock, name_of(sys._getframe(1).f_globals, app))
        self._app: Starlette | None = None
        self._injection = ApplicationInjection(passing_state)
        self._registry.fill = self._injection.fill
        self._off = Passthrough(self._registry, self._injection.fill) if chosen is None else None
        kept: Store = MemoryStore(clock) if chosen is None else chosen
        execution = ExecutionContext(carried)
        execution.injection = self._injection
        self.work_with(
            Components(kept, self._registry, self.config, clock, execution, checked_queues(queues))
        )
        self._lifespan = self.begin()
        # Already here, for the routes that are made before `install`.
        if self._off is None:
            hook()
        else:
            hook_if_possible()
        EVERY_POSTLUDE.enter(self)
        if app is not None:
            self.install(app)

    # -- defining tasks -------------------------------------------------------------------------

    @overload
    def task(self, function: Callable[P, R], **options: Unpack[TaskOptions]) -> Task[P, R]: ...

    @overload
    def task(
        self, function: None = ..., **options: Unpack[TaskOptions]
    ) -> Callable[[Callable[P, R]], Task[P, R]]: ...

    def task(
        self, function: Callable[P, R] | None = None, **options: Unpack[TaskOptions]
    ) -> Task[P, R] | Callable[[Callable[P, R]], Task[P, R]]:
        """Declare a task; still a function. As `@postlude.task`, `@postlude.task(...)` or `postlude.task(f)`.

        Args:
            function: what runs.
            options: its policy; see `postlude.tasks.policy.TaskOptions`.

        Raises:
            TaskDefinitionError: it cannot be a task so; the message names the option.
        """
        if function is None:
            return self._registry.task(**options)
        return self._registry.task(function, **options)

    # -- the framework --------------------------------------------------------------------------

    def install(self, app: Starlette) -> None:
        """Join an application, before it has started.

        Raises:
            PostludeError: it has started or has a Postlude already, or this Postlude has another one.
            UnsupportedFramework: its version does not behave as needed.
        """
        if self._app is app:
            return
        if self._app is not None:
            raise PostludeError("this Postlude has an application already; make another for another one")
        if self._off is None:
            install(app, self, self._injection.keep_state)
        else:
            install_passthrough(app, self._off, _announce_off, self._injection.keep_state)
        self._app = app
        self._injection.join(app)

    def router(
        self,
        *,
        prefix: str = "",
        dependencies: Sequence[Any] | None = None,
        errors: Literal["code", "type", "text"] = "code",
        show: Collection[Literal["task", "queue", "arguments"]] = (),
        **options: Any,
    ) -> "APIRouter":
        """Return a router that tells of jobs at `GET {prefix}/{id}`, tells it again whenever they have
        changed at `GET {prefix}/{id}/events`, and cancels them at `POST {prefix}/{id}/cancel`.

        Args:
            prefix: of its paths.
            dependencies: FastAPI's, for instance to see who asks.
            errors: how much to tell of why a job failed: a code in one word; `"type"`, the class of the
                exception too; `"text"`, what it said too, which may hold secrets.
            show: what else to tell: `"task"` and `"queue"`, on which clients then depend; `"arguments"`,
                which may hold secrets.
            options: further arguments of `fastapi.APIRouter`.

        Raises:
            ValueError: `errors` or `show` is none of the choices.
        """
        from postlude.web.status import status_router

        return status_router(
            lambda: self.inspector,
            prefix=prefix,
            dependencies=dependencies,
            errors=errors,
            show=show,
            control=lambda: self._components.control,
            subscription=lambda id: self._components.hub.subscription(id),
            **options,
        )

    @property
    def off(self) -> bool:
        """Whether this Postlude stores nothing (`POSTLUDE_STORE=off`)."""
        return self._off is not None

    def verify(self) -> None:
        """Make sure that every route gives receipts."""
        assert self._app is not None
        be_heard()
        hook(self._app)
        watch_handlers(self._app, lambda: self.port)
        self._registry.check()
        say_what_is_not_durable(self._app)

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

    async def start(self) -> None:
        """Start the runner on this loop."""
        await self._lifespan.start()

    async def drain(self) -> None:
        """Stop claiming, let running jobs end, release the rest."""
        await self._lifespan.drain()

    async def close(self) -> None:
        """Close the journal."""
        await self._lifespan.close()

    # -- what it works with ---------------------------------------------------------------------

    @property
    def inspector(self) -> Inspector:
        """Looking at jobs: `get`, `page`, `counts`."""
        return self._components.inspector

    @property
    def blocking(self) -> Blocking:
        """Adding jobs from sync code."""
        return self._components.blocking if self._off is None else PassthroughBlocking(self._off)

    @property
    def components(self) -> Components:
        """Its journal, and what works with it."""
        return self._components

    def work_with(self, components: Components) -> None:
        """Work with another journal from now on; for tests.

        Requests that are under way end with the one that they began with, and so does a lifespan.
        """
        self._components = components
        # A port is only ever given back what it has prepared itself.
        self.port: Port = components.producer  # type: ignore[assignment]
        """Where the application's requests hand in their jobs."""


EVERY_POSTLUDE: Final[Instances[Postlude]] = Instances()
"""Those of this process, for its tests."""


def _announce_off() -> None:
    be_heard()
    announce("off: nothing is stored, background tasks run in memory as the framework's own do")
