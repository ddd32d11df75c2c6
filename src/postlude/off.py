"""Postlude switched off: the frameworks as they are, and as much as code written for Postlude needs.

Routes with FastAPI's own parameter get FastAPI's own object. Those with Postlude's get one that
gives handles too; no journal knows their ids. Nothing is checked or encoded. What comes from outside
of requests has ended when its handle is there, which then gives its result.
"""

import asyncio
import logging
from asyncio import _get_running_loop
from collections.abc import AsyncIterator, Callable, Iterable
from contextvars import ContextVar
from traceback import format_exception_only
from typing import Any, Final
from uuid import uuid4

from starlette._utils import is_async_callable
from starlette.concurrency import run_in_threadpool
from starlette.types import Scope

from postlude.errors import JobFailed, NotDurable
from postlude.job import NOWHERE, Enquiries, Job
from postlude.model.job import Cancel
from postlude.model.snapshot import Snapshot
from postlude.model.state import State
from postlude.outside import Blocking
from postlude.receipt import Facts
from postlude.tasks.call import Call
from postlude.tasks.names import describe
from postlude.tasks.registry import Registry

log = logging.getLogger("postlude.jobs")

OFF_KEY: Final = "postlude.off"
"""Where the middleware puts the `Off` of the application in an ASGI scope."""

PASSING: Final[ContextVar[Any]] = ContextVar("postlude_passing", default=None)
"""The `Passing` of the request that runs here, where Postlude is off."""


class Off:
    """Gives handles for jobs that nothing stores, and runs those that come from outside of requests.

    Args:
        registry: what is a task, for the names of jobs.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def job(self, function: Callable[..., Any], enquiries: Enquiries = NOWHERE) -> Job[Any]:
        """Return the handle of a call."""
        try:
            task = self._registry.call(function, (), {})[0]
        except NotDurable:
            return Job(uuid4().bytes, describe(function), "default", enquiries)
        return Job(uuid4().bytes, task.name, task.queue, enquiries)

    async def run(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Job[Any]:
        """Run a call to its end, here and now; what it raises is logged."""
        ended = _Ended()
        job = self.job(function, ended)
        try:
            if is_async_callable(function):
                ended.returned = await function(*args, **kwargs)
            else:
                ended.returned = await run_in_threadpool(function, *args, **kwargs)
        except Exception as error:
            ended.error = "".join(format_exception_only(error)).strip()
            log.exception("%s failed; Postlude is off, so it ran in memory", job.task)
        return job

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


class OffBlocking(Blocking):
    """`postlude.blocking` of a Postlude that is off: calls run in this thread's time, to their end."""

    def __init__(self, off: Off) -> None:
        self._off = off

    def add_tasks(self, calls: Iterable[Call | Callable[[], Any]]) -> list[Job[Any]]:
        """Run calls one after another.

        Raises:
            RuntimeError: called on an event loop, which it would block.
        """
        if _get_running_loop() is not None:
            raise RuntimeError("postlude.blocking would block this event loop: await postlude.add_task(...)")
        return asyncio.run(self._off.run_all(calls))


class Passing:
    """One request of an application whose Postlude is off."""

    __slots__ = ("accepted", "facts", "off", "scope")

    def __init__(self, off: Off, scope: Scope, facts: Facts | None) -> None:
        self.off = off
        self.scope = scope
        self.facts = facts
        self.accepted: Job[Any] | None = None


def _taken_apart(call: Any) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    if isinstance(call, Call):
        return call
    if callable(call):
        return call, (), {}
    raise TypeError(f"add_tasks takes calls, not {type(call).__name__}")
