"""What is asked of a Postlude outside of requests: adding jobs, and what operators do with them."""

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload
from uuid import UUID

from postlude.app.components import Components, Counters
from postlude.config import Config
from postlude.enqueue.bulk import add_all
from postlude.jobs.handle import Job
from postlude.messages.spelling import parameters_of, refuse_unknown, tells_what_to_write
from postlude.model.job import Cancel
from postlude.request.passthrough import Passthrough
from postlude.stores.protocol import Pause
from postlude.tasks.call import Call
from postlude.tasks.task import Task

P = ParamSpec("P")
R = TypeVar("R")


@tells_what_to_write("postlude")
class Verbs:
    """The part of `Postlude` that needs no application."""

    _components: Components
    _off: Passthrough | None

    if not TYPE_CHECKING:  # checkers know what there is

        def __new__(cls, *args: Any, **kwargs: Any) -> Any:
            """Say what was meant by a keyword that is not there."""
            refuse_unknown(cls.__name__, kwargs, parameters_of(cls.__init__), Config.__annotations__)
            return super().__new__(cls)

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
        producer = self._components.producer
        work = producer.prepare(function, args, kwargs)
        if producer.serves():
            await producer.commit([work])
            producer.start([work])
        else:
            await self._components.opened()
            await producer.store([work])
            await self._components.absence.look()
        return work.job

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
        await self._components.opened()
        jobs = await add_all(self._components.producer, calls, atomic=atomic)
        await self._components.absence.look()
        return jobs

    async def job(self, id: str | UUID) -> Job[Any]:
        """Return the handle of a job by its id; what it returned is read as its task's function returns it.

        Raises:
            JobNotFound: no job has this id, or it has been pruned, or it is not an id.
            JournalUnavailable: the journal cannot be read now.
        """
        return await self._components.queries.find(id)

    @property
    def counters(self) -> Counters:
        """What operators should look at, of this process: tasks in memory only, threads that hang."""
        return self._components.counters

    async def cancel(self, job: str | UUID) -> Cancel:
        """Cancel a job: at once if it waits; if it runs, ask it to stop. See `Control.cancel`.

        Raises:
            JobNotFound: `job` is not the id of a job.
            JournalUnavailable: the journal cannot be written now.
        """
        return await self._components.control.cancel(job)

    async def retry(self, job: str | UUID) -> bool:
        """Run a job again that has failed or was cancelled; False if it has not. See `Control.retry`.

        Raises:
            JobNotFound: `job` is not the id of a job.
            KeyTaken: another job with its key waits or runs.
            JournalUnavailable: the journal cannot be written now.
        """
        return await self._components.control.retry(job)

    async def pause(self, queue: str | None = None, *, task: Task[..., Any] | str | None = None) -> bool:
        """Let no job of a queue, or of a task, start until `resume`; in all processes, over restarts.

        Returns:
            False if it is paused already.

        Raises:
            PostludeError: neither or both are given.
            NothingToPause: no task of this release and no job has this queue, or this name.
            JournalUnavailable: the journal cannot be written now.
        """
        return await self._components.control.pause(queue, task=task)

    async def resume(self, queue: str | None = None, *, task: Task[..., Any] | str | None = None) -> bool:
        """Undo `pause`; False if it was not paused.

        Raises:
            PostludeError: neither or both are given.
            JournalUnavailable: the journal cannot be written now.
        """
        return await self._components.control.resume(queue, task=task)

    async def paused(self) -> list[Pause]:
        """Return what is paused: queues and tasks, by name.

        Raises:
            JournalUnavailable: the journal cannot be read now.
        """
        return await self._components.control.paused()
