"""FastAPI's `Depends` in tasks: with the application that its dependencies belong to, once it is known."""

import sys
from asyncio import AbstractEventLoop
from collections.abc import Callable, MutableMapping
from typing import Any, cast
from weakref import WeakKeyDictionary

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool

from postlude.compat import running_loop
from postlude.errors import TaskDefinitionError
from postlude.runner.attempt.injection import Injection, InThread
from postlude.tasks.inject.filling import called, without_filled
from postlude.tasks.signature import refuse_unfilled
from postlude.tasks.task import Task


class ApplicationInjection:
    """Fills the parameters of tasks from the dependencies of one application, if that is FastAPI's.

    Args:
        of_request: returns `request.state` of the request that runs here, or None: outside of requests,
            dependencies see what `keep_state` was given. By default, always so.
    """

    def __init__(self, of_request: Callable[[], MutableMapping[str, Any] | None] = lambda: None) -> None:
        self._of_request = of_request
        self._app: Starlette | None = None
        self._state: MutableMapping[str, Any] = {}
        self._states: WeakKeyDictionary[AbstractEventLoop, MutableMapping[str, Any]] = WeakKeyDictionary()
        self._inner: Injection | None = None

    def join(self, app: Starlette) -> None:
        """Fill parameters for this application: with its overrides, its state and itself."""
        self._app = app

    def keep_state(self, state: MutableMapping[str, Any]) -> None:
        """Let dependencies see in `request.state` what the application's lifespan has yielded.

        Where several run at once, each event loop has that of its own: its pools belong to that loop.

        Args:
            state: of the lifespan's scope; the application fills it later.
        """
        self._state = state
        loop = running_loop()
        if loop is not None:  # a Postlude that is off serves trio too
            self._states[loop] = state

    def state(self) -> MutableMapping[str, Any]:
        """Return what dependencies see in `request.state`."""
        state = self._of_request()
        if state is not None:
            return state
        loop = running_loop()
        return self._state if loop is None else self._states.get(loop, self._state)

    async def run(
        self, task: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], in_thread: InThread
    ) -> Any:
        """See `postlude.runner.attempt.injection.Injection`.

        Raises:
            TaskDefinitionError: there is no FastAPI application.
        """
        inner = self._inner or self._join_fastapi(task)
        return await inner.run(task, args, kwargs, in_thread)

    async def fill(self, task: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a task that runs in memory, with what its dependencies give or the call passes for them.

        Raises:
            TypeError: the call passes some of that, and not all.
        """
        call = without_filled(task.function, task.injected, args, kwargs)
        if call is not None:
            return await self.run(task, *call, run_in_threadpool)
        refuse_unfilled(task.name, task.function, task.injected, args, kwargs)
        return await called(task.function, task.is_async, args, kwargs)

    def _join_fastapi(self, task: Task[..., Any]) -> Injection:
        fastapi: Any = sys.modules.get("fastapi")
        if self._app is None or fastapi is None or not isinstance(self._app, fastapi.FastAPI):
            what = "no application" if self._app is None else f"a {type(self._app).__name__} application"
            raise TaskDefinitionError(
                f"{task.name}: parameter {min(task.injected)!r} is filled by Depends, which needs a FastAPI "
                f"application, and this Postlude has {what}; give it one, Postlude(app), "
                f"or get the object inside the function"
            )
        from postlude.frameworks.fastapi.injection import FastAPIInjection

        self._inner = FastAPIInjection(cast(Any, self._app), self.state)
        return self._inner
