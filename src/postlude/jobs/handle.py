"""The handle that adding a job gives."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from postlude.errors import JobNotFound
from postlude.messages.spelling import no_such
from postlude.model.ids import id_text
from postlude.model.job import Cancel, Progress
from postlude.model.snapshot import Snapshot

R_co = TypeVar("R_co", covariant=True)


class Enquiries(Protocol):
    """Where handles ask about their jobs. Implemented by `postlude.jobs.queries.JobQueries`."""

    async def result(self, id: bytes, timeout: float | None) -> Any:
        """Wait for a job's end and return its result; see `Job.result`."""
        ...

    async def snapshot(self, id: bytes) -> Snapshot:
        """Return a job as it is now; see `Job.status`."""
        ...

    def changes(self, id: bytes) -> AsyncIterator[Snapshot]:
        """Return a job as it is now and whenever it has changed; see `Job.changes`."""
        ...

    async def cancel(self, id: bytes) -> Cancel:
        """Cancel a job; see `Job.cancel`."""
        ...


class Nowhere:
    """Answers for jobs that no journal knows."""

    async def result(self, id: bytes, timeout: float | None) -> Any:
        raise _unknown(id)

    async def snapshot(self, id: bytes) -> Snapshot:
        raise _unknown(id)

    async def changes(self, id: bytes) -> AsyncIterator[Snapshot]:
        raise _unknown(id)
        yield  # makes this an async generator

    async def cancel(self, id: bytes) -> Cancel:
        raise _unknown(id)


NOWHERE: Final = Nowhere()


@dataclass(frozen=True, slots=True)
class Job(Generic[R_co]):
    """A job that has been asked for, with what it will return.

    Attributes:
        raw_id: its id as the journal keeps it.
        task: the name of its task.
        queue: the queue it waits under.
    """

    raw_id: bytes
    task: str
    queue: str
    enquiries: Enquiries = field(default=NOWHERE, repr=False, compare=False)
    """Answers what is asked of it."""

    def __repr__(self) -> str:
        return f"<Job {self.id} of {self.task}>"

    if not TYPE_CHECKING:  # checkers know what there is

        def __getattr__(self, name: str) -> Any:
            raise no_such(self, name, "job")

    @property
    def id(self) -> str:
        """Its id, as text."""
        return id_text(self.raw_id)

    async def result(self, timeout: float | None = None) -> R_co:
        """Wait until the job has succeeded, and return what its function returned.

        Args:
            timeout: seconds to wait at most; the job goes on after them.

        Raises:
            JobFailed: it has failed; the text is its last error.
            JobCancelled: it was cancelled, gave up, or has expired.
            ResultDropped: it succeeded, and what it returned could not be kept.
            InvalidResult: what it returned does not fit the annotation that its function has now.
            WaitsForItself: the request that added the job, and stores it at its end, asks for it.
            TimeoutError: it has not ended within `timeout`.
            JobNotFound: it was not stored, or has been pruned.
            JournalUnavailable: the journal cannot be read now.
        """
        return await self.enquiries.result(self.raw_id, timeout)  # type: ignore[no-any-return]

    async def status(self) -> Snapshot:
        """Return what it is now; all that is kept of it is told by `postlude.inspector.get(job.id)`.

        Raises:
            WaitsForItself: the request that added the job, and stores it at its end, asks for it.
            JobNotFound: it was not stored, or has been pruned.
            JournalUnavailable: the journal cannot be read now.
        """
        return await self.enquiries.snapshot(self.raw_id)

    async def progress(self) -> Progress | None:
        """Return how far it said that it was, last; None if it never did. Raises what `status` does."""
        return (await self.enquiries.snapshot(self.raw_id)).progress

    def changes(self) -> AsyncIterator[Snapshot]:
        """Return, for `async for`, what it is now, then what it has become, until it has ended.

        What lasts for a moment only may be left out. Raises what `status` does.
        """
        return self.enquiries.changes(self.raw_id)

    async def cancel(self) -> Cancel:
        """Cancel it: at once if it waits; if it runs, ask it to stop.

        Raises:
            WaitsForItself: the request that added the job, and stores it at its end, asks for it.
            JobNotFound: it was not stored, or has been pruned.
            JournalUnavailable: the journal cannot be written now.
        """
        return await self.enquiries.cancel(self.raw_id)


def _unknown(id: bytes) -> JobNotFound:
    return JobNotFound(f"no journal has the job {id_text(id)}: it ran in memory, or nothing has stored it")
