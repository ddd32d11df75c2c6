"""Postlude switched off: the frameworks as they are, and as much as code written for Postlude needs.

Routes with FastAPI's own parameter get FastAPI's own object. Those with Postlude's get one that
gives handles too; no journal knows their ids. Nothing is checked or encoded.
"""

import asyncio
import logging
from asyncio import _get_running_loop
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Any, Final
from uuid import uuid4

from starlette.background import BackgroundTask
from starlette.types import Scope

from postlude.errors import NotDurable
from postlude.job import Job
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

    def job(self, function: Callable[..., Any]) -> Job:
        """Return the handle of a call."""
        try:
            task = self._registry.call(function, (), {})[0]
        except NotDurable:
            return Job(uuid4().bytes, describe(function), "default")
        return Job(uuid4().bytes, task.name, task.queue)

    async def run(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Job:
        """Run a call to its end, here and now; what it raises is logged."""
        job = self.job(function)
        try:
            await BackgroundTask(function, *args, **kwargs)()
        except Exception:
            log.exception("%s failed; Postlude is off, so it ran in memory", job.task)
        return job

    async def run_all(self, calls: Iterable[Call | Callable[[], Any]]) -> list[Job]:
        """Run calls one after another; see `run`."""
        return [await self.run(*_taken_apart(call)) for call in calls]


class OffBlocking(Blocking):
    """`postlude.blocking` of a Postlude that is off: calls run in this thread's time, to their end."""

    def __init__(self, off: Off) -> None:
        self._off = off

    def add_tasks(self, calls: Iterable[Call | Callable[[], Any]]) -> list[Job]:
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
        self.accepted: Job | None = None


def _taken_apart(call: Any) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    if isinstance(call, Call):
        return call
    if callable(call):
        return call, (), {}
    raise TypeError(f"add_tasks takes calls, not {type(call).__name__}")
