"""Postlude switched off: the frameworks as they are, and as much as code written for Postlude needs.

Routes with FastAPI's own parameter get FastAPI's own object. Those with Postlude's get one that
gives handles too; no journal knows their ids. Nothing is checked or encoded; declared tasks get what
`Depends` fills, by the application's own resolution, which needs no journal. What comes from outside
of requests has ended when its handle is there, which then gives its result.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, MutableMapping
from contextvars import ContextVar
from functools import partial
from traceback import format_exception_only
from typing import Any, Final
from uuid import uuid4

from starlette.types import Scope

from postlude.compat import is_async_callable
from postlude.enqueue.blocking import Blocking
from postlude.errors import JobFailed, NotDurable, TaskDefinitionError
from postlude.jobs.acting import Acting, Verbs, refuse_loop
from postlude.jobs.handle import NOWHERE, Enquiries, Job
from postlude.model.event.request import PassthroughFailed
from postlude.model.job import Cancel
from postlude.model.snapshot import Snapshot
from postlude.model.state import State
from postlude.request.asgi_scope import Facts
from postlude.tasks.call import Call
from postlude.tasks.inject.filling import Fill, called
from postlude.tasks.names import describe
from postlude.tasks.registry import Registry
from postlude.tasks.signature import injected_parameters
from postlude.tasks.task import Task
from postlude.telemetry.process import EVENTS

OFF_KEY: Final = "postlude.off"
"""Where the middleware puts the `Passthrough` of the application in an ASGI scope."""

PASSING: Final[ContextVar[Any]] = ContextVar("postlude_passing", default=None)
"""The `Passing` of the request that runs here, where Postlude is off."""


class Passthrough:
    """Gives handles for jobs that nothing stores, and runs those that come from outside of requests.

    Args:
        registry: what is a task, for the names of jobs.
        fill: calls a task with what its dependencies give.
    """

    def __init__(self, registry: Registry, fill: Fill) -> None:
        self._registry = registry
        self._fill = fill

    def job(self, function: Callable[..., Any]) -> Job[Any]:
        """Return the handle of a call that the framework's own background tasks will make.

        Raises:
            TaskDefinitionError: it has parameters that `Depends` fills, and is no declared task.
        """
        _refuse_undeclared(function)
        return self._handle(function, NOWHERE)

    def _handle(self, function: Callable[..., Any], enquiries: Enquiries) -> Job[Any]:
        try:
            task = self._registry.call(function, (), {})[0]
        except NotDurable:
            return Job(uuid4().bytes, describe(function), "default", enquiries)
        return Job(uuid4().bytes, task.name, task.queue, enquiries)

    async def run(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Job[Any]:
        """Run a call to its end, here and now; what it raises is logged."""
        ended = _Ended()
        job = self._handle(function, ended)
        try:
            ended.returned = await self._call(function, args, kwargs)
        except Exception as error:
            ended.error = "".join(format_exception_only(error)).strip()
            EVENTS.emit(PassthroughFailed(job.task, error))
        return job

    async def _call(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            task, every, named = self._registry.call(function, args, kwargs)
        except NotDurable:
            _refuse_undeclared(function)
        else:
            if task.injected:
                return await self._fill(task, every, named)
        return await called(function, is_async_callable(function), args, kwargs)

    async def run_all(self, calls: Iterable[Call | Callable[[], Any]]) -> list[Job[Any]]:
        """Run calls one after another; see `run`."""
        return [await self.run(*_taken_apart(call)) for call in calls]


class _Ended:
    """Answers for one job, which has ended before anybody could ask."""

    def __init__(self) -> None:
        self.returned: Any = None
        self.error: str | None = None

    async def result(self, id: bytes, timeout: float | None) -> Any:
        if self.error is not None:
            raise JobFailed(self.error)
        return self.returned

    async def snapshot(self, id: bytes) -> Snapshot:
        return Snapshot(State.SUCCEEDED if self.error is None else State.FAILED, 1, error=self.error)

    async def changes(self, id: bytes) -> AsyncIterator[Snapshot]:
        yield await self.snapshot(id)

    async def cancel(self, id: bytes) -> Cancel:
        return Cancel.TOO_LATE


class PassthroughBlocking(Blocking):
    """`postlude.blocking` of a Postlude that is off: calls run in this thread's time, to their end."""

    def __init__(self, off: Passthrough, verbs: Verbs) -> None:
        Acting.__init__(self, verbs)
        self._off = off

    def add_tasks(self, calls: Iterable[Call | Callable[[], Any]]) -> list[Job[Any]]:
        """Run calls one after another.

        Raises:
            RuntimeError: called on an event loop, which it would block.
        """
        refuse_loop("postlude.add_task(...)")
        return asyncio.run(self._off.run_all(calls))


class Passing:
    """One request of an application whose Postlude is off."""

    __slots__ = ("accepted", "facts", "off", "scope")

    def __init__(self, off: Passthrough, scope: Scope, facts: Facts | None) -> None:
        self.off = off
        self.scope = scope
        self.facts = facts
        self.accepted: Job[Any] | None = None


def passing_state() -> MutableMapping[str, Any] | None:
    """Return `request.state` of the request that runs here: what the lifespan yielded, and what was added."""
    passing: Passing | None = PASSING.get()
    return None if passing is None else passing.scope.get("state", {})


def _refuse_undeclared(function: Any) -> None:
    while isinstance(function, partial):
        function = function.func
    filled = () if isinstance(function, Task) else injected_parameters(function)
    if filled:
        raise TaskDefinitionError(
            f"{describe(function)}: parameter {filled[0].name!r} is filled by Depends, and while Postlude is "
            f"off that is done for declared tasks only; put @postlude.task on the function"
        )


def _taken_apart(call: Any) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    if isinstance(call, Call):
        return call
    if callable(call):
        return call, (), {}
    raise TypeError(f"add_tasks takes calls, not {type(call).__name__}")
