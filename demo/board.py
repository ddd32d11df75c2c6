"""What the page shows of the jobs, as far as the journal tells."""

from collections import Counter
from datetime import UTC, datetime

from pydantic import BaseModel

from demo import mail
from demo.jobs import postlude
from postlude.jobs.inspector import AttemptStatus, JobStatus
from postlude.model.state import Reason, State

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


class Newsletters(BaseModel):
    """What has become of the slow mails, and what those that are left wait for."""

    waiting: int
    """Jobs that have not ended."""
    next_in: float | None
    """Seconds until the first next attempt, if all of them wait for one."""
    cut_off: bool = False
    """Whether one that the server's death has cut off waits behind another such job, and they behind it."""


async def newsletters() -> Newsletters:
    """Return what the slow mails wait for."""
    task = mail.send_newsletter.name
    states = {entry.state: entry.jobs for entry in await postlude.inspector.counts() if entry.task == task}
    waiting = states.get(State.QUEUED, 0)
    if not waiting or states.get(State.RUNNING):
        return Newsletters(waiting=waiting + states.get(State.RUNNING, 0), next_in=None)
    jobs = await postlude.inspector.page(state=State.QUEUED, task=task, limit=waiting)
    times = [left for job in jobs if (left := _seconds_left(job)) is not None]
    cut_off = any(job.reason is Reason.INTERRUPTED for job in jobs)
    return Newsletters(waiting=waiting, next_in=min(times, default=None), cut_off=cut_off)


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
    return Line(
        id=job.id,
        task=job.task.rpartition(":")[2],
        state=job.state,
        attempt=job.attempt,
        next_in=_seconds_left(job),
        error=job.error or (job.attempts[-1].error if job.attempts else None),
    )


def _seconds_left(job: JobStatus) -> float | None:
    """Return the seconds until a job's next attempt, if it waits for one."""
    if not job.retrying or job.due is None:
        return None
    return max(0.0, (job.due - datetime.now(UTC)).total_seconds())
