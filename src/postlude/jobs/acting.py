"""Acting on jobs and waiting for them from sync code, which has no event loop."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Concatenate, Final, NamedTuple, ParamSpec, TypeVar, overload
from uuid import UUID

from postlude.compat import running_loop
from postlude.jobs.control import Control
from postlude.jobs.current import CURRENT, raise_if_cancelled
from postlude.jobs.handle import Job
from postlude.jobs.looks import Looks
from postlude.jobs.queries import JobQueries
from postlude.jobs.schedules import Schedules
from postlude.model.job import Cancel
from postlude.model.snapshot import Snapshot

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

Waits = Callable[Concatenate[Any, P], R]
"""A method of `Acting`."""

TICK: Final = 0.2
"""Seconds between looks whether the job that waits here is asked to stop."""


class Verbs(NamedTuple):
    """What a Postlude is asked, as it is awaited."""

    control: Control
    queries: JobQueries
    looks: Looks
    schedules: Schedules


def refuse_loop(instead: str) -> None:
    """Make sure that no event loop runs here, which would be blocked.

    Args:
        instead: what is to be awaited there.

    Raises:
        RuntimeError: one does.
    """
    if running_loop() is not None:
        raise RuntimeError(f"postlude.blocking would block this event loop: await {instead}")


def _wait_for(asked: Callable[[], Coroutine[Any, Any, T]], instead: str) -> T:
    refuse_loop(instead)
    # A loop of its own, which no other code of this thread sees: `asyncio.run` would leave it without one.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        return runner.run(asked())


def of_control(
    method: Callable[Concatenate[Control, P], Coroutine[Any, Any, T]],
) -> Waits[P, T]:
    """Return a method that waits for what `Control` does."""
    waiting: Waits[P, T] = _waiting(method, "control")
    return waiting


def of_looks(
    method: Callable[Concatenate[Looks, P], Coroutine[Any, Any, T]],
) -> Waits[P, T]:
    """Return a method that waits for what `Looks` sees."""
    waiting: Waits[P, T] = _waiting(method, "looks")
    return waiting


def of_schedules(
    method: Callable[Concatenate[Schedules, P], Coroutine[Any, Any, T]],
) -> Waits[P, T]:
    """Return a method that waits for what `Schedules` do."""
    waiting: Waits[P, T] = _waiting(method, "schedules")
    return waiting


def _waiting(method: Any, whose: str) -> Any:
    @functools.wraps(method)
    def wait(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        verb = partial(method, getattr(self._verbs, whose), *args, **kwargs)
        return _wait_for(verb, f"postlude.{method.__name__}(...)")

    return wait


class Acting:
    """What sync code asks of jobs and queues; each call returns when that is done.

    A job is meant by its handle or its id. On an event loop, which they would block, all of them raise
    `RuntimeError`; what else they raise is told by the methods of the same names that are awaited.

    Args:
        verbs: those that are awaited.
    """

    def __init__(self, verbs: Verbs) -> None:
        self._verbs = verbs
        self._control = verbs.control
        self._queries = verbs.queries

    def job(self, id: str | UUID) -> Job[Any]:
        """Return the handle of a job; see `Postlude.job`."""
        return _wait_for(lambda: self._queries.find(id), "postlude.job(...)")

    @overload
    def result(self, job: Job[R], timeout: float | None = None) -> R: ...

    @overload
    def result(self, job: str | UUID, timeout: float | None = None) -> Any: ...

    def result(self, job: Job[Any] | str | UUID, timeout: float | None = None) -> Any:
        """Wait until a job has succeeded, and return what its function returned; see `Job.result`.

        A job that waits here stops when it is asked to, as by `raise_if_cancelled`.

        Args:
            job: the job.
            timeout: seconds to wait at most; the job goes on after them.
        """
        return _wait_for(lambda: self._result(job, timeout), "job.result(...)")

    def status(self, job: Job[Any] | str | UUID) -> Snapshot:
        """Return what a job is now; see `Job.status`."""
        return _wait_for(lambda: self._status(job), "job.status()")

    def cancel(self, job: Job[Any] | str | UUID) -> Cancel:
        """Cancel a job: at once if it waits; if it runs, ask it to stop. See `Postlude.cancel`."""
        return _wait_for(lambda: self._cancel(job), "postlude.cancel(...)")

    def retry(self, job: Job[Any] | str | UUID) -> bool:
        """Run a job again that has failed or was cancelled; False if it has not. See `Postlude.retry`."""
        id = job.id if isinstance(job, Job) else job
        return _wait_for(lambda: self._control.retry(id), "postlude.retry(...)")

    def delete(self, job: Job[Any] | str | UUID) -> bool:
        """Remove a job that has ended, with all that is known of it; False if it has not ended."""
        id = job.id if isinstance(job, Job) else job
        return _wait_for(lambda: self._control.delete(id), "postlude.delete(...)")

    cancel_all = of_control(Control.cancel_all)
    retry_all = of_control(Control.retry_all)
    delete_all = of_control(Control.delete_all)
    prune = of_control(Control.prune)
    pause = of_control(Control.pause)
    resume = of_control(Control.resume)
    paused = of_control(Control.paused)
    schedules = of_schedules(Schedules.schedules)
    pause_schedule = of_schedules(Schedules.pause_schedule)
    resume_schedule = of_schedules(Schedules.resume_schedule)
    run_schedule = of_schedules(Schedules.run_schedule)
    find = of_looks(Looks.find)
    show = of_looks(Looks.show)
    queues = of_looks(Looks.queues)
    tasks = of_looks(Looks.tasks)
    processes = of_looks(Looks.processes)
    history = of_looks(Looks.history)
    groups = of_looks(Looks.groups)
    audit = of_looks(Looks.audit)

    async def _handle(self, job: Job[Any] | str | UUID) -> Job[Any]:
        return job if isinstance(job, Job) else await self._queries.find(job)

    async def _result(self, job: Job[Any] | str | UUID, timeout: float | None) -> Any:
        asked = await self._handle(job)
        if CURRENT.get() is None:
            return await asked.result(timeout)
        waiting = asyncio.ensure_future(asked.result(timeout))
        try:
            while not (await asyncio.wait([waiting], timeout=TICK))[0]:
                raise_if_cancelled()
        finally:
            waiting.cancel()
        return waiting.result()

    async def _status(self, job: Job[Any] | str | UUID) -> Snapshot:
        return await (await self._handle(job)).status()

    async def _cancel(self, job: Job[Any] | str | UUID) -> Cancel:
        return await (job.cancel() if isinstance(job, Job) else self._control.cancel(job))
