"""What operators do with jobs and queues: cancel, retry, pause, resume."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from difflib import get_close_matches
from typing import Any, Unpack
from uuid import UUID

from postlude.config import Keep
from postlude.errors import JobNotFound, NothingToPause, PostludeError
from postlude.jobs.bulk import Act, Acted, Cancelling, Deleting, Retrying, Which, act_on_all
from postlude.jobs.pruning import Bounds, prune
from postlude.messages.quoting import cut, quoted
from postlude.model.event.jobs import CancelAsked, JobRetried, Paused, Resumed
from postlude.model.ids import id_bytes
from postlude.model.job import DEFAULT_QUEUE, Cancel, JobFilter
from postlude.stores.protocol import Pause, Store
from postlude.stores.values import Deed
from postlude.tasks.registry import Registry
from postlude.tasks.task import Task


class Control:
    """The verbs, each durable when it returns.

    Args:
        store: the journal.
        opened: opens the journal if nobody has.
        told: called with a job's id after it was asked to stop, so that its runner here hears at once.
        paused: called after these were paused (True) or resumed, so that the runners here hear at once.
        registry: the tasks of this release.
        queues: those that the application has described.
        keep: how long the application keeps jobs that have ended.
    """

    def __init__(
        self,
        store: Store,
        opened: Callable[[], Awaitable[None]],
        told: Callable[[bytes], None],
        paused: Callable[[Sequence[Pause], bool], Awaitable[None]],
        registry: Registry,
        queues: Collection[str],
        keep: Keep,
    ) -> None:
        self._store = store
        self._opened = opened
        self._told = told
        self._paused = paused
        self._registry = registry
        self._queues = queues
        self._keep = keep

    async def cancel(self, job: str | UUID) -> Cancel:
        """Cancel a job: at once if it waits; if it runs, ask it to stop.

        An async task is cancelled where it awaits, a process is ended, a sync task stops where it
        calls `raise_if_cancelled`. Until that is true the job is running.

        Raises:
            JobNotFound: `job` is not the id of a job.
            JournalUnavailable: the journal cannot be written now.
        """
        raw = raw_id(job)
        await self._opened()
        (answer,) = await self._store.cancel([raw])
        self._store.events.emit(CancelAsked(raw, answer))
        if answer is Cancel.ASKED:
            record = await self._store.get(raw)  # its own id: the runner knows none that joined it
            self._told(raw if record is None else record.id)
        elif answer is Cancel.TOO_LATE and await self._store.get(raw) is None:
            raise JobNotFound(f"no job has the id {cut(str(job))}; it may have been pruned")
        return answer

    async def retry(self, job: str | UUID) -> bool:
        """Run a job again that has failed or was cancelled; False if it has not.

        It gets one more attempt, or those that its task's policy has left.

        Raises:
            JobNotFound: `job` is not the id of a job.
            KeyTaken: another job with its key waits or runs.
            JournalUnavailable: the journal cannot be written now.
        """
        raw = raw_id(job)
        await self._opened()
        (done,) = await self._store.retry([raw])
        if not done and await self._store.get(raw) is None:
            raise JobNotFound(f"no job has the id {cut(str(job))}; it may have been pruned")
        if done:
            self._store.events.emit(JobRetried(raw))
        return done

    async def delete(self, job: str | UUID) -> bool:
        """Remove a job that has ended, with all that is known of it; False if it has not ended.

        Raises:
            JobNotFound: `job` is not the id of a job.
            JournalUnavailable: the journal cannot be written now.
        """
        raw = raw_id(job)
        await self._opened()
        (done,) = await self._store.delete([raw])
        if not done and await self._store.get(raw) is None:
            raise JobNotFound(f"no job has the id {cut(str(job))}; it may have been pruned")
        return done

    async def cancel_all(self, **which: Unpack[Which]) -> Acted:
        """Cancel all jobs that are meant: those that wait at once, those that run are asked to stop.

        For instance `cancel_all(task=send_receipt, arguments={"tenant": "acme"})`; `Which` has all fields.
        Jobs that are added meanwhile are not meant. It is done in pieces, each durable when the next begins.

        Raises:
            TypeError: there is no such field, or a time has no timezone.
            PostludeError: no filter is given, or several tasks are called so.
            JobNotFound: no task called so has any job.
            JournalUnavailable: the journal cannot be written now; a note says what had been done.
        """
        return await self._act_on_all(self._cancelling(), which)

    async def retry_all(self, **which: Unpack[Which]) -> Acted:
        """Run all jobs again that are meant, if they have failed or were cancelled; see `cancel_all`."""
        return await self._act_on_all(self._retrying(), which)

    async def delete_all(self, **which: Unpack[Which]) -> Acted:
        """Remove all jobs that are meant and have ended; see `cancel_all`."""
        return await self._act_on_all(Deleting(), which)

    async def prune(self, keep: Keep | None = None) -> Acted:
        """Remove the jobs that have ended and are kept no longer, now.

        The application does that by itself from time to time; this is for somebody who needs the room.

        Args:
            keep: how long they are kept; None: as the application keeps them.

        Raises:
            JournalUnavailable: the journal cannot be written now; a note says what had been done.
        """
        await self._opened()
        bounds = Bounds.of(keep or self._keep, self._store.now())
        return await asyncio.to_thread(prune, self._store, bounds)

    def act(self, verb: str) -> Act:
        """Return what does this to many jobs: `cancel`, `retry` or `delete`; runners here hear of it at once.

        Raises:
            KeyError: no act is called so.
        """
        return {"cancel": self._cancelling, "retry": self._retrying, "delete": Deleting}[verb]()

    def _cancelling(self) -> Act:
        return Cancelling(self._cancelled)

    def _retrying(self) -> Act:
        return Retrying(lambda id: self._store.events.emit(JobRetried(id)))

    async def _act_on_all(self, act: Act, which: Which) -> Acted:
        await self._opened()
        return await asyncio.to_thread(act_on_all, self._store, act, which)

    def _cancelled(self, id: bytes, answer: Cancel) -> None:
        """A job's runner hears at once that it is to stop. From any thread."""
        self._store.events.emit(CancelAsked(id, answer))
        if answer is Cancel.ASKED:
            self._told(id)

    async def pause(self, queue: str | None = None, *, task: Task[..., Any] | str | None = None) -> bool:
        """Let no job of a queue, or of a task, start until `resume`; False if it is paused already.

        What runs goes on. In this process nothing starts any more when this returns, in another one within
        a moment. It holds for all processes, and over restarts.

        Raises:
            PostludeError: neither or both are given.
            NothingToPause: no task of this release and no job has this queue, or this name: a slip of
                the pen would otherwise stop nothing, and say that it has.
            JournalUnavailable: the journal cannot be written now.
        """
        return await self.pause_it(_pause(queue, task))

    async def pause_it(self, what: Pause, by: Deed | None = None) -> bool:
        """Pause a queue or a task, for somebody who is named; see `pause`."""
        await self._opened()
        paused = await self._store.paused()
        left = [each for each in self._names_of(what) if each not in paused]
        if left and not await self._is_known(what):
            raise NothingToPause(await self._advice(what))
        changed = any([await self._store.pause(each, by) for each in left])
        self._store.events.emit(Paused(left))
        await self._paused(self._names_of(what), True)
        return changed

    def _names_of(self, what: Pause) -> list[Pause]:
        """A task is paused under each of its names: jobs may be stored under all of them."""
        names = self._registry.names
        if what.kind == "queue" or what.name not in names:
            return [what]
        task = self._registry.resolve(what.name)
        return [Pause("task", name) for name in sorted(names) if self._registry.resolve(name) is task]

    async def _is_known(self, what: Pause) -> bool:
        if what.kind == "queue":
            wanted = JobFilter(queue=what.name, limit=1)
            return what.name in self._queues_of_release() or bool(await self._store.page(wanted))
        return self._registry.knows(what.name) or what.name in await self._names()

    def _queues_of_release(self) -> set[str]:
        return {DEFAULT_QUEUE, *self._queues, *(task.queue for task in self._registry.declared)}

    async def _names(self) -> set[str]:
        """Return the names of the tasks of this release, as far as they are known, and of all jobs."""
        return {*self._registry.names, *(count.task for count in await self._store.counts())}

    async def _advice(self, what: Pause) -> str:
        if what.kind == "queue":
            return (
                f"no task of this release and no job has the queue {quoted(what.name)}"
                f"{_near(what.name, self._queues_of_release())}; if jobs are to come with using(queue=...), "
                f"say so by Postlude(queues={{{quoted(what.name)}: Local()}})"
            )
        return (
            f"no task of this release and no job has the name {quoted(what.name)}"
            f"{_near(what.name, await self._names())}; give the task itself, pause(task=send_receipt)"
        )

    async def resume(self, queue: str | None = None, *, task: Task[..., Any] | str | None = None) -> bool:
        """Undo `pause`; False if it was not paused.

        Raises:
            PostludeError: neither or both are given.
            JournalUnavailable: the journal cannot be written now.
        """
        return await self.resume_it(_pause(queue, task))

    async def resume_it(self, what: Pause, by: Deed | None = None) -> bool:
        """Resume a queue or a task, for somebody who is named; see `resume`."""
        await self._opened()
        names = self._names_of(what)
        resumed = any([await self._store.resume(each, by) for each in names])
        self._store.events.emit(Resumed(names))
        await self._paused(names, False)
        return resumed

    async def paused(self) -> list[Pause]:
        """Return what is paused: queues and tasks, by name.

        Raises:
            JournalUnavailable: the journal cannot be read now.
        """
        await self._opened()
        return await self._store.paused()


def raw_id(job: str | UUID) -> bytes:
    """Return a job's id as the journal keeps it.

    Raises:
        JobNotFound: it is not an id.
    """
    try:
        return job.bytes if isinstance(job, UUID) else id_bytes(job)
    except (ValueError, TypeError, AttributeError):  # it may be no text at all
        raise JobNotFound(f"{quoted(job)} is not the id of a job") from None


def _near(name: str, known: Collection[str]) -> str:
    """Name what may have been meant; also by what a task is called in its module."""
    name = cut(name)
    short = {each.rpartition(":")[2].rpartition(".")[2]: each for each in known}
    near = [*get_close_matches(name, sorted(known)), *(short[n] for n in get_close_matches(name, short))]
    return f" (near to it: {', '.join(map(repr, dict.fromkeys(near)))})" if near else ""


def _pause(queue: str | None, task: Task[..., Any] | str | None) -> Pause:
    if (queue is None) == (task is None):
        raise PostludeError('say what is meant: a queue ("mail"), or task=send_receipt')
    if queue is not None:
        if not isinstance(queue, str):
            raise PostludeError(f"queue={quoted(queue)}: give the name of a queue; a task is meant by task=")
        return Pause("queue", queue)
    if not isinstance(task, Task | str):
        raise PostludeError(f"task={quoted(task)}: give a declared task, or the name of one")
    return Pause("task", task.name if isinstance(task, Task) else task)
