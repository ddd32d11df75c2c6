"""Acting on jobs and waiting for them from sync code, which has no event loop."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar, Unpack, overload
from uuid import UUID

from postlude.compat import running_loop
from postlude.jobs.bulk import Acted, Which
from postlude.jobs.control import Control
from postlude.jobs.current import CURRENT, raise_if_cancelled
from postlude.jobs.handle import Job
from postlude.jobs.queries import JobQueries
from postlude.model.job import Cancel
from postlude.model.snapshot import Snapshot
from postlude.stores.protocol import Pause
from postlude.tasks.task import Task

R = TypeVar("R")
T = TypeVar("T")

TICK: Final = 0.2
"""Seconds between looks whether the job that waits here is asked to stop."""


class Acting:
    """What sync code asks of jobs and queues; each call returns when that is done.

    A job is meant by its handle or its id. On an event loop, which they would block, all of them raise
    `RuntimeError`; what else they raise is told by the methods of the same names that are awaited.

    Args:
        control: acts on jobs and queues.
        queries: answers for jobs.
    """

    def __init__(self, control: Control, queries: JobQueries) -> None:
        self._control = control
        self._queries = queries

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

    def cancel_all(self, **which: Unpack[Which]) -> Acted:
        """Cancel all jobs that are meant; see `Postlude.cancel_all`."""
        return _wait_for(lambda: self._control.cancel_all(**which), "postlude.cancel_all(...)")

    def retry_all(self, **which: Unpack[Which]) -> Acted:
        """Run all jobs again that are meant; see `Postlude.retry_all`."""
        return _wait_for(lambda: self._control.retry_all(**which), "postlude.retry_all(...)")

    def delete_all(self, **which: Unpack[Which]) -> Acted:
        """Remove all jobs that are meant and have ended; see `Postlude.delete_all`."""
        return _wait_for(lambda: self._control.delete_all(**which), "postlude.delete_all(...)")

    def pause(self, queue: str | None = None, *, task: Task[..., Any] | str | None = None) -> bool:
        """Let no job of a queue, or of a task, start until `resume`; see `Postlude.pause`."""
        return _wait_for(lambda: self._control.pause(queue, task=task), "postlude.pause(...)")

    def resume(self, queue: str | None = None, *, task: Task[..., Any] | str | None = None) -> bool:
        """Undo `pause`; False if it was not paused. See `Postlude.resume`."""
        return _wait_for(lambda: self._control.resume(queue, task=task), "postlude.resume(...)")

    def paused(self) -> list[Pause]:
        """Return what is paused: queues and tasks, by name. See `Postlude.paused`."""
        return _wait_for(self._control.paused, "postlude.paused()")

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
