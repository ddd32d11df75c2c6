"""What the handles of jobs ask: waiting for results, hearing of changes, finding a job by its id."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any, Final
from uuid import UUID

from pydantic_core import from_json

from postlude.config import Config
from postlude.errors import (
    InvalidResult,
    JobCancelled,
    JobFailed,
    JobNotFound,
    PostludeError,
    ResultDropped,
    UnknownTask,
)
from postlude.jobs.absence import NOBODY, Absence
from postlude.jobs.control import Control, raw_id
from postlude.jobs.current import waiting_for
from postlude.jobs.handle import Job
from postlude.jobs.subscriptions import Hub
from postlude.model.ids import id_text
from postlude.model.job import Cancel, JobRecord
from postlude.model.snapshot import Snapshot, last_error
from postlude.model.state import Reason, State, Stored
from postlude.stores.protocol import Reading
from postlude.tasks.registry import Registry

AGAIN_AFTER: Final = 0.01
"""Seconds until a job is looked for again that its request is about to store."""


class JobQueries:
    """Answers what the handles of one journal's jobs ask.

    Args:
        store: the journal.
        registry: by whose functions results are read.
        config: how often to look for a job that is about to be stored.
        hub: tells of changes.
        control: cancels.
        opened: opens the journal if nobody has.
        unstored: whether the request that runs here may not have stored the job with this id yet;
            raises `WaitsForItself` if it has not begun to.
        absence: notices if nobody runs them.
        arrive: returns when the journal has a job, or no outbox has it.
    """

    def __init__(
        self,
        store: Reading,
        registry: Registry,
        config: Config,
        hub: Hub,
        control: Control,
        opened: Callable[[], Awaitable[None]],
        unstored: Callable[[bytes], bool],
        absence: Absence,
        arrive: Callable[[bytes], Awaitable[None]],
    ) -> None:
        self._store = store
        self._registry = registry
        self._config = config
        self._hub = hub
        self._control = control
        self._opened = opened
        self._unstored = unstored
        self._absence = absence
        self._arrive = arrive

    async def find(self, id: str | UUID) -> Job[Any]:
        """Return the handle of a job by its id; what it returned is read as its task's function returns it.

        Raises:
            JobNotFound: no job has this id, or it has been pruned, or it is not an id.
            JournalUnavailable: the journal cannot be read now.
        """
        raw = raw_id(id)
        await self._opened()
        record = await self._record(raw)
        return Job(raw, record.task, record.queue, self)  # also that of a call which was merged by its key

    async def result(self, id: bytes, timeout: float | None) -> Any:
        """Wait for a job's end and return its result; see `Job.result`."""
        try:
            async with asyncio.timeout(timeout):
                await self._stored(id)
                with waiting_for(id):
                    record = await self._end(id)
        except TimeoutError:
            why = await self._why_not(id)
            raise TimeoutError(f"job {id_text(id)} has not ended within {timeout} s; {why}") from None
        return self._result_of(record)

    async def _why_not(self, id: bytes) -> str:
        """Say what becomes of a job that has not ended in time."""
        with suppress(PostludeError):
            record = await self._store.get(id)
            if record is not None and record.stored is Stored.PARKED:
                return "it is parked: this release does not know its task, or its arguments do not fit"
            if not await self._absence.served():
                return f"{NOBODY}: start the application's server"
        return "it goes on"

    async def snapshot(self, id: bytes) -> Snapshot:
        """Return a job as it is now; see `Job.status`."""
        await self._stored(id)
        return Snapshot.of(self._hub.informed(await self._record(id)))

    async def changes(self, id: bytes) -> AsyncIterator[Snapshot]:
        """Return a job as it is now and whenever it has changed; see `Job.changes`."""
        await self._stored(id)
        with self._hub.subscription(id) as subscription:
            while True:
                with waiting_for(id):
                    record = await subscription.news()
                assert record is not None
                snapshot = Snapshot.of(record)
                yield snapshot
                if snapshot.ended:
                    return

    async def cancel(self, id: bytes) -> Cancel:
        """Cancel a job; see `Job.cancel`."""
        await self._stored(id)
        return await self._control.cancel(UUID(bytes=id))

    async def _stored(self, id: bytes) -> None:
        """Return when the journal knows the job, or is not about to."""
        await self._opened()
        loop = asyncio.get_running_loop()
        # No commit takes longer; and the job may be one that another request never stored.
        until = loop.time() + self._config.budget
        while self._unstored(id) and await self._store.get(id) is None:
            if loop.time() >= until:
                return
            await asyncio.sleep(min(AGAIN_AFTER, self._config.poll_every))
        await self._arrive(id)

    async def _record(self, id: bytes) -> JobRecord:
        record = await self._store.get(id)
        if record is None:
            await self._arrive(id)
            record = await self._store.get(id)
        if record is None:
            raise JobNotFound(f"no job has the id {id_text(id)}; it may have been pruned")
        return record

    async def _end(self, id: bytes) -> JobRecord:
        with self._hub.subscription(id) as subscription:
            looked = False
            while True:
                record = await subscription.news()
                assert record is not None
                if record.stored.final:
                    return record
                if not looked:
                    looked = True
                    await self._absence.look()

    def _result_of(self, record: JobRecord) -> Any:
        if record.state is State.SUCCEEDED:
            if record.reason is Reason.RESULT_DROPPED:
                raise ResultDropped(
                    f"job {id_text(record.id)} of {record.task} succeeded, but what it returned was too "
                    f"large to keep or has no durable form; the log of the process that ran it says which"
                )
            return self._decoded(record)
        error = last_error(record)
        if record.state is State.FAILED:
            raise JobFailed(error or f"it was ended from outside ({_why(record)})")
        raise JobCancelled(f"{_why(record)}: {error}" if error else _why(record))

    def _decoded(self, record: JobRecord) -> Any:
        if record.result is None:
            return None
        try:
            task = self._registry.resolve(record.task)
        except UnknownTask:
            try:
                return from_json(record.result)
            except ValueError:
                raise InvalidResult(f"what is stored of the result of {record.task} is not JSON") from None
        return task.decode_result(record.result)


def _why(record: JobRecord) -> str:
    return record.state.value if record.reason is None else record.reason.value
