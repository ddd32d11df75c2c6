"""What the page shows of the jobs, as far as the journal tells."""

from collections import Counter
from datetime import UTC, datetime

from pydantic import BaseModel

from demo.jobs import postlude
from postlude.inspector import AttemptStatus, JobStatus
from postlude.model.state import State

SHOWN = 25


class Line(BaseModel):
    """A job on the page."""

    id: str
    task: str
    state: State
    attempt: int
    next_in: float | None
    """Seconds until its next attempt, if it waits for one."""
    error: str | None
    """Of its last attempt."""


async def counts() -> dict[str, int]:
    """Return how many jobs are in each state."""
    found: Counter[str] = Counter()
    for entry in await postlude.inspector.counts():
        found[entry.state] += entry.jobs
    return found


async def newest() -> list[Line]:
    """Return the newest jobs, newest first."""
    return [await _line(job) for job in await postlude.inspector.page(limit=SHOWN)]


async def attempts(id: str) -> list[AttemptStatus]:
    """Return a job's attempts that did not succeed.

    Raises:
        JobNotFound: there is no such job.
    """
    return list((await postlude.inspector.get(id)).attempts)


async def _line(job: JobStatus) -> Line:
    if job.attempt > 1 or job.state is State.FAILED:
        job = await postlude.inspector.get(job.id)  # pages have no errors
    waits = job.due - datetime.now(UTC) if job.retrying and job.due else None
    return Line(
        id=job.id,
        task=job.task.rpartition(":")[2],
        state=job.state,
        attempt=job.attempt,
        next_in=None if waits is None else max(0.0, waits.total_seconds()),
        error=job.error or (job.attempts[-1].error if job.attempts else None),
    )
