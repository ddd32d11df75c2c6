"""The hook in FastAPI: what replaces names of its modules.

Four names: the class that dependency solving instantiates for a background tasks parameter, the two
functions that make a route's ASGI application, and the one that makes a handler of an endpoint. Routes
made earlier are made anew with the same functions. All of it does nothing for scopes that
`postlude.middleware` has not marked.
"""

import functools
from collections.abc import Awaitable, Callable
from copy import deepcopy
from typing import Any, Final

import fastapi
from starlette.background import BackgroundTasks as StarletteBackgroundTasks
from starlette.requests import Request
from starlette.types import ASGIApp, Scope

from postlude.errors import UnsupportedFramework
from postlude.frameworks.fastapi import internals
from postlude.frameworks.fastapi.canary import Canary
from postlude.frameworks.fastapi.routes import cover
from postlude.frameworks.fastapi.session import answer_session
from postlude.jobs.handle import Job
from postlude.request.background import CURRENT, Accepted, BackgroundTasks, RequestTasks, accepted_job
from postlude.request.calls import begin, direct, note, noted
from postlude.request.joined import accept, within
from postlude.request.listing import is_call, parts_of, prepared_of
from postlude.request.passthrough import PASSING, Passing
from postlude.request.receipt import Receipt
from postlude.request.replaced import is_mock, is_replaced, meant
from postlude.request.responses import accepted
from postlude.request.route import answer, track

__all__ = ["cover", "install"]

SUPPORTED: Final = "0.115 to 0.165"

_FASTAPI: Final = fastapi.BackgroundTasks


def _now(method: Any) -> Any:
    return None if is_replaced(method) else method


_FASTAPI_ADD: Final = _now(fastapi.BackgroundTasks.add_task)
_FASTAPI_CALL: Final = _now(fastapi.BackgroundTasks.__call__)
_STARLETTE_ADD: Final = _now(StarletteBackgroundTasks.add_task)
_STARLETTE_CALL: Final = _now(StarletteBackgroundTasks.__call__)
"""What tests replace: theirs is called then, as it would be without Postlude."""


class Collecting(RequestTasks):
    """What FastAPI's own methods lead to in a marked request: they are above it, and may be replaced."""

    _receipt: Receipt
    _given: Any = None
    """What a method that has been replaced was called with, while it is."""
    strict: bool
    replaced = False
    """Whether somebody has replaced a method of FastAPI's or Starlette's class."""

    def is_called(self) -> bool:
        """Whether running them is somebody else's business."""
        return False

    def add_task(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Add a call, or what Starlette's method adds, if that has been replaced, for instance by a mock."""
        if not is_replaced(StarletteBackgroundTasks.add_task):
            return self._add(func, args, kwargs)
        count = len(self.tasks)
        result: Any = super(BackgroundTasks, self).add_task(func, *args, **kwargs)
        added = self.tasks[count:]
        del self.tasks[count:]
        for task in added:
            if is_call(task):
                result = self._add(*parts_of(task))
            else:
                self.tasks.append(task)
        return result

    def _add(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        methods = (fastapi.BackgroundTasks.add_task, StarletteBackgroundTasks.add_task)
        return self._receipt.add(self, meant(self._given, func, methods), args, kwargs)

    def accepted(self, job: Job[Any]) -> Accepted[Any]:
        """Return the body of a 202; see `RequestTasks.accepted`."""
        body: Accepted[Any] = accept(self._receipt, job, prepared_of(accepted_job(job), self.tasks))
        return body

    def within(self, connection: Any) -> Any:
        """Return what adds jobs to the transactions of a session or a connection."""
        return within(self._receipt, connection)


class InjectedBackgroundTasks(fastapi.BackgroundTasks, Collecting):
    """The background tasks of one marked request; outside of those, calling it gives FastAPI's own."""

    def __new__(cls) -> Any:
        receipt: Receipt | None = CURRENT.get()
        if receipt is None:
            passing: Passing | None = PASSING.get()
            if passing is not None and _is_strict(passing):
                return PassedBackgroundTasks(passing)
            return fastapi.BackgroundTasks()
        injected = receipt.injected
        if injected is not None:
            if not receipt.unseen:
                return injected
            begin(receipt)
        if (
            _FASTAPI.add_task is _FASTAPI_ADD
            and _FASTAPI.__call__ is _FASTAPI_CALL
            and StarletteBackgroundTasks.add_task is _STARLETTE_ADD
            and StarletteBackgroundTasks.__call__ is _STARLETTE_CALL
        ) or not _are_replaced():
            self: InjectedBackgroundTasks = object.__new__(cls)
        else:
            self = object.__new__(ReplacedBackgroundTasks)
        self._receipt = receipt
        self.tasks = []
        facts = receipt.facts
        strict = None if facts is None else facts.strict
        self.strict = _is_strict(receipt) if strict is None else strict
        receipt.injected = self
        return self

    def __init__(self) -> None:
        """Nothing: `__new__` may have returned an object that holds tasks."""

    def add_task(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Add a call; see `RequestTasks.add_task`. None if it is a plain function that runs in memory."""
        return self._receipt.add(self, func, args, kwargs)

    async def __call__(self) -> None:
        """Run the tasks here and now, as FastAPI's do, or those in memory of a response that was sent."""
        await super().__call__()
        if self._receipt.memory is not None:
            await self._receipt.run_in_memory()

    def __copy__(self) -> fastapi.BackgroundTasks:
        # FastAPI's own: a copy by the usual way would be taken for another call's parameter.
        copy = fastapi.BackgroundTasks()
        copy.tasks = self.tasks
        return copy

    def __deepcopy__(self, memo: dict[int, Any]) -> fastapi.BackgroundTasks:
        copy = memo[id(self)] = fastapi.BackgroundTasks()
        copy.tasks = deepcopy(self.tasks, memo)
        return copy


class ReplacedBackgroundTasks(InjectedBackgroundTasks):
    """The same while a method of FastAPI's or Starlette's class is replaced: whoever did that is called."""

    replaced = True

    def add_task(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Add a call as FastAPI's method, or what stands in its place, does."""
        self._given = func
        try:
            return super(InjectedBackgroundTasks, self).add_task(func, *args, **kwargs)
        finally:
            self._given = None

    async def __call__(self) -> None:
        """Run the tasks as FastAPI's method, or what stands in its place, does."""
        if is_replaced(StarletteBackgroundTasks.__call__):
            await super(BackgroundTasks, self).__call__()
        else:
            await super(InjectedBackgroundTasks, self).__call__()

    def is_called(self) -> bool:
        """Whether running them is the business of a test's mock."""
        return is_mock(fastapi.BackgroundTasks.__call__) or is_mock(StarletteBackgroundTasks.__call__)


def _are_replaced() -> bool:
    classes = (fastapi.BackgroundTasks, StarletteBackgroundTasks)
    return any(is_replaced(each.add_task, each.__call__) for each in classes)


class PassedBackgroundTasks(fastapi.BackgroundTasks, RequestTasks):
    """FastAPI's background tasks where Postlude is off, for a route that asks for Postlude's."""

    def __init__(self, passing: Passing) -> None:
        StarletteBackgroundTasks.__init__(self)
        self._passing = passing

    def add_task(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Add a call; the handle is of a job that nothing stores."""
        StarletteBackgroundTasks.add_task(self, func, *args, **kwargs)
        return self._passing.off.job(func)

    def accepted(self, job: Job[Any]) -> Accepted[Any]:
        """Return the body of a 202; see `RequestTasks.accepted`."""
        self._passing.accepted = accepted_job(job)
        return accepted(job, self._passing.scope, None)


def _is_strict(request: Receipt | Passing) -> bool:
    facts = request.facts
    if facts is None:
        return _asks_strictly(request.scope)
    if facts.strict is None:
        facts.strict = _asks_strictly(request.scope)
    return facts.strict


def _asks_strictly(scope: Scope) -> bool:
    dependant = internals.dependant_of(scope)
    return dependant is not None and any(
        isinstance(annotation, type) and issubclass(annotation, BackgroundTasks)
        for annotation in internals.tasks_annotations(dependant)
    )


def _answer_route(handler: Callable[..., Any]) -> Callable[[Request], Awaitable[Any]]:
    around = note(handler, internals.ENDPOINT)
    return answer(direct(handler), around)


def install() -> None:
    """Replace the four names, once per process, and prove on a private application that it works.

    Raises:
        UnsupportedFramework: this version of FastAPI does not work as the hook needs.
    """
    before = internals.replaceable()
    if before.background_tasks is InjectedBackgroundTasks:
        return
    try:
        canary = Canary()
        internals.replace(
            internals.Replaceable(
                InjectedBackgroundTasks,
                _wrap(before.request_response, _answer_route),
                _wrap(before.websocket_session, answer_session),
                _let_note(before.get_request_handler),
            )
        )
        cover(canary.app)
        canary.add_late()
        cover(canary.app)  # as an application's start does
        canary.prove()
    except Exception as error:
        internals.replace(before)
        raise UnsupportedFramework(
            f"FastAPI {fastapi.__version__} does not work as Postlude needs ({error}). "
            f"Postlude supports FastAPI {SUPPORTED}."
        ) from error


def _wrap(make: Callable[[Any], ASGIApp], answering: Callable[[Any], Any]) -> Callable[[Any], ASGIApp]:
    @functools.wraps(make)
    def make_tracked(func: Any) -> ASGIApp:
        return track(make(answering(func)), stack=internals.REQUEST_STACK)

    return make_tracked


def _let_note(make: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(make)
    def make_noted(*args: Any, **kwargs: Any) -> Any:
        return noted(make(*args, **kwargs))

    return make_noted
