"""FastAPI resolves and closes the dependencies of a task, by its own public class for routes.

A task with dependencies gets a route that no request ever reaches: its endpoint has the parameters
that `Depends` fills, and calls the task's function. It is called with a scope that knows no
exception handlers, so what is raised comes out as it is, and that Postlude's hook does not know.
"""

import inspect
from collections.abc import Callable, MutableMapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Final, NoReturn

import fastapi
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import FastAPIError
from fastapi.routing import APIRoute
from starlette.types import Message, Receive, Scope, Send

from postlude.errors import PostludeError, TaskDefinitionError
from postlude.frameworks.fastapi.internals import MIDDLEWARE_STACK, taken_from_request
from postlude.messages.raised import frames_of, is_a, origins_of
from postlude.model.event.request import DependencyFailed
from postlude.runner.attempt.injection import InThread
from postlude.runner.attempt.unrun import refuse_unrun
from postlude.runner.executors.overtime import refuse_late
from postlude.tasks.signature import injected_parameters
from postlude.tasks.task import Task
from postlude.telemetry.process import EVENTS

_ATTEMPT: Final = "postlude.attempt"
_REQUEST: Final = "postlude_request"
"""A parameter of the endpoint, beside those that the task's dependencies fill."""

_READ_BY_FASTAPI: Final = frozenset({"headers", "query_params", "path_params", "cookies"})
_ALLOWED: Final = frozenset({"app", "state", "scope"})

_WAYS_IN: Final = frozenset({"_serve", "handle", "call"})
"""Functions of this module through which all that an attempt runs is called."""
_MACHINERY: Final = frozenset(
    {"postlude", "fastapi", "starlette", "anyio", "asyncio", "concurrent", "contextlib"}
)
"""What stands between those and the code of the application."""


class FastAPIInjection:
    """Fills the parameters of tasks from the dependencies of a FastAPI application.

    Args:
        app: whose `dependency_overrides` count, and what dependencies see as `request.app`.
        state: returns what its lifespan has yielded, for `request.state`.
    """

    def __init__(self, app: FastAPI, state: Callable[[], MutableMapping[str, Any]] = dict) -> None:
        self._app = app
        self._state = state
        self._routes: dict[Task[..., Any], _Route] = {}

    async def run(
        self, task: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], in_thread: InThread
    ) -> Any:
        """See `postlude.runner.attempt.injection.Injection`."""
        attempt = _Attempt(task, args, kwargs, in_thread)
        route = self._routes.get(task.base or task) or self._add(task.base or task)
        scope = {
            "type": "http",
            "app": self._app,
            "state": dict(self._state()),
            MIDDLEWARE_STACK: AsyncExitStack(),
            _ATTEMPT: attempt,
        }
        try:
            await self._serve(route, scope, attempt)
            return attempt.outcome()
        finally:
            attempt.forget()

    @staticmethod
    async def _serve(route: "_Route", scope: dict[str, Any], attempt: "_Attempt") -> None:
        try:
            await route.app(scope, _receive, _send)
        except BaseException as error:
            _cut_machinery(error)
            if attempt.error is None or not is_a(error, Exception):
                raise
            if error is not attempt.error and not is_a(error, FastAPIError):
                EVENTS.emit(DependencyFailed(attempt.task, error))

    def _add(self, task: Task[..., Any]) -> "_Route":
        route = _Route(
            "",
            _endpoint_of(task),
            name=task.name,
            response_model=None,
            dependency_overrides_provider=self._app,
        )
        _refuse_fields(task.name, route)
        self._routes[task] = route
        return route


class _Attempt:
    """One call of a task's function, on its way through FastAPI."""

    __slots__ = ("_args", "_in_thread", "_kwargs", "_result", "_task", "_traceback", "error")

    def __init__(
        self, task: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], in_thread: InThread
    ) -> None:
        self._task = task
        self._args = args
        self._kwargs = kwargs
        self._in_thread = in_thread
        self._result: Any = None
        self._traceback: TracebackType | None = None
        self.error: BaseException | None = None

    async def call(self, values: dict[str, Any]) -> None:
        """Call the function with what its dependencies gave, and keep what comes of it."""
        function, args, kwargs = self._task.function, self._args, {**self._kwargs, **values}
        try:
            if self._task.is_async:
                self._result = await function(*args, **kwargs)
            else:
                self._result = await self._in_thread(lambda: function(*args, **kwargs))
                refuse_unrun(self._task.name, self._result)
            refuse_late()
        except BaseException as error:
            self.error = error
            self._traceback = _own_frames(frames_of(error))
            raise

    def outcome(self) -> Any:
        """Return what the function returned, or raise what it raised, without the frames of FastAPI."""
        if self.error is None:
            return self._result
        raise BaseException.with_traceback(self.error, self._traceback)

    def forget(self) -> None:
        """Let go of what was raised: it holds the frames that hold this object."""
        self.error = self._traceback = None

    @property
    def task(self) -> str:
        """The name of its task."""
        return self._task.name


def _cut_machinery(error: BaseException) -> None:
    """Let an error, and those that it came from, begin in the code of the application."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            # Not assigned, and not asked of the error itself: its class may be frozen, or have its own idea.
            BaseException.with_traceback(one, _own_frames(frames_of(one)))
            waiting += origins_of(one)


def _own_frames(frames: TracebackType | None) -> TracebackType | None:
    """Return a traceback from where the application's code begins; all of it, if there is none of that."""
    entered: TracebackType | None = None
    each = frames
    while each is not None:
        if _module(each) == __name__ and each.tb_frame.f_code.co_name in _WAYS_IN:
            entered = each
        each = each.tb_next
    # A dependency that an error is thrown into stands before those: it has not raised it.
    while entered is not None and _module(entered).partition(".")[0] in _MACHINERY:
        entered = entered.tb_next
    return entered or frames


def _module(frame: TracebackType) -> str:
    return str(frame.tb_frame.f_globals.get("__name__", ""))


def _endpoint_of(task: Task[..., Any]) -> Callable[..., Any]:
    """Return an endpoint with the parameters that `Depends` fills."""

    async def endpoint(**values: Any) -> Response:
        attempt: _Attempt = values.pop(_REQUEST).scope[_ATTEMPT]
        await attempt.call(values)
        return _Nothing()

    by_name = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter(_REQUEST, by_name, annotation=Request)]
    for filled in injected_parameters(task.function):
        # Only `Depends()` looks at the annotation, which else may be one that cannot be resolved.
        kind = filled.annotation if filled.depends.dependency is None else Any
        parameters.append(inspect.Parameter(filled.name, by_name, default=filled.depends, annotation=kind))
    endpoint.__dict__["__signature__"] = inspect.Signature(parameters)
    return endpoint


def _refuse_fields(task: str, route: APIRoute) -> None:
    """Make sure that FastAPI too takes nothing in a tree of dependencies from a request."""
    for taken in taken_from_request(route):
        raise TaskDefinitionError(
            f"{task}: FastAPI {fastapi.__version__} takes {taken.name!r} of {taken.of!r} for one of the "
            f"{taken.kind} of a request, and a task has none; annotate it so that it can tell"
        )


class _Route(APIRoute):
    """A route whose dependencies get a `TaskRequest`."""

    def get_route_handler(self) -> Callable[[Request], Any]:
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            return await handler(TaskRequest(request.scope))

        return handle


class _Nothing(Response):
    """The response of an endpoint that nobody has asked."""

    def __init__(self) -> None:
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Only an override can have asked for BackgroundTasks: all else has been refused.
        if self.background is not None:
            await self.background()


class TaskRequest(Request):
    """What a dependency of a task gets for `Request`: `.app`, and `.state` as the lifespan yielded it."""

    def __getitem__(self, key: str) -> Any:
        if key not in _ALLOWED:
            _refuse(f"[{key!r}]")
        return self.scope[key]


class _Unread:
    """What FastAPI looks for values in when there are none to be found. Any use of it is refused."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> NoReturn:
        _refuse(self._name)

    def __getitem__(self, key: object) -> NoReturn:
        _refuse(self._name)

    def __contains__(self, key: object) -> NoReturn:
        _refuse(self._name)

    def __iter__(self) -> NoReturn:
        _refuse(self._name)

    def __len__(self) -> NoReturn:
        _refuse(self._name)


def _refuse(what: str) -> NoReturn:
    place = what if what.startswith("[") else f".{what}"
    raise PostludeError(
        f"request{place}: a task has no HTTP request, only request.app and request.state (what the lifespan "
        f"yielded); give the task a parameter for what it needs of the request that adds it"
    )


def _refusing(name: str) -> property:
    if name in _READ_BY_FASTAPI:
        return property(lambda self: _Unread(name))
    return property(lambda self: _refuse(name))


for _name in dir(Request):
    if not _name.startswith("_") and _name not in _ALLOWED:
        setattr(TaskRequest, _name, _refusing(_name))


async def _receive() -> Message:
    raise PostludeError("a task has no HTTP request to receive from")


async def _send(message: Message) -> None:
    raise PostludeError("a task has no HTTP response to send")
