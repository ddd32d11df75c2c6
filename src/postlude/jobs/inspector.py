"""Looking at jobs: what the journal holds, in the words and types that people read."""

import json
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import from_json, to_json

from postlude.errors import JobNotFound
from postlude.messages.quoting import cut, quoted
from postlude.model.ids import id_bytes, id_text
from postlude.model.job import AttemptRecord, JobFilter, JobRecord
from postlude.model.outcome import LogLine
from postlude.model.snapshot import attempt_number, cancel_asked, last_error
from postlude.model.state import Reason, State, Stored
from postlude.stores.protocol import Counts, Reading

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


Attempts = Callable[[str, str | None], int | None]
"""Says how many attempts a job may have, by its task's name and what its call has set (`opts`)."""


class Arguments(BaseModel):
    """What a job was called with, as JSON."""

    model_config = ConfigDict(frozen=True)

    positional: list[Any]
    named: dict[str, Any]


class AttemptStatus(BaseModel):
    """An attempt that did not succeed."""

    model_config = ConfigDict(frozen=True)

    number: int
    started: datetime
    finished: datetime
    error: str = Field(description="The exception's type and message, one line.")
    traceback: str
    host: str
    pid: int
    release: str = Field("", description="Of its process, as `Config(release=)` says; empty: it says none.")


class JobProgress(BaseModel):
    """How far a job says that it is."""

    model_config = ConfigDict(frozen=True)

    done: float
    total: float | None
    message: str | None
    at: datetime = Field(description="When it said so.")


class LogStatus(BaseModel):
    """A line that an attempt logged."""

    model_config = ConfigDict(frozen=True)

    attempt: int
    at: datetime
    level: str
    logger: str
    message: str


class JobStatus(BaseModel):
    """A job, for people. Times are UTC."""

    model_config = ConfigDict(frozen=True)

    id: str
    seq: int = Field(description="Its place in the order of all jobs; `before` of the next page.")
    task: str
    queue: str
    priority: int
    state: State
    scheduled: bool = Field(description="It waits for its due time, and has not been attempted.")
    retrying: bool = Field(description="It waits for another attempt.")
    attempt: int = Field(description="The number of the attempt that comes, runs or was the last, from 1.")
    max_attempts: int | None = Field(
        description="How many attempts it may have; None if this program does not know its task."
    )
    deaths: int = Field(
        description="How often the death of its process interrupted it, and no other job could be why."
    )
    reason: Reason | None = Field(description="Why it is where it is, when the state does not say.")
    note: str | None = Field(description="Why it is parked, in a sentence.")
    created: datetime
    due: datetime | None
    started: datetime | None = Field(
        description="When the attempt that runs started; else the last one. None: it has not yet."
    )
    finished: datetime | None
    error: str | None = Field(description="The last attempt's error, in one line.")
    arguments: Arguments | None = Field(description="None if they are not kept as plain JSON.")
    attempts: tuple[AttemptStatus, ...] = Field(description="Those that did not succeed; not on pages.")
    owner: str | None = Field(description="Whose it is, as the application has said.")
    call_owner: str | None = Field(
        description="Whose the call is by whose id it was asked for: another's, perhaps, if it was merged by "
        "its key."
    )
    key: str | None = Field(description="No other job of its task with this key waits or runs.")
    cancel_asked: bool = Field(description="It runs, and somebody has asked it to stop.")
    progress: JobProgress | None
    result: Any = Field(description="What it returned; not on pages. `reason` tells if it was dropped.")
    logs: tuple[LogStatus, ...] = Field(description="What its attempts logged; not on pages.")

    @classmethod
    def of(cls, record: JobRecord, attempts: "Attempts | None" = None) -> "JobStatus":
        """Read a job as the journal gave it.

        Args:
            record: the job.
            attempts: says how many attempts jobs may have; None: nobody knows.
        """
        waits = record.state is State.QUEUED
        return cls(
            id=id_text(record.id),
            seq=record.seq,
            task=record.task,
            queue=record.queue,
            priority=record.priority,
            state=record.state,
            scheduled=record.stored is Stored.SCHEDULED and record.failures == 0,
            retrying=waits and record.failures > 0,
            attempt=attempt_number(record),
            max_attempts=None if attempts is None else attempts(record.task, record.given.opts),
            deaths=record.deaths,
            reason=record.reason,
            note=record.note,
            created=time_of(record.created),
            due=None if record.due is None else time_of(record.due),
            started=None if record.started is None else time_of(record.started),
            finished=None if record.finished is None else time_of(record.finished),
            error=last_error(record),
            arguments=_arguments(record.payload),
            attempts=tuple(_attempt(attempt) for attempt in record.attempts),
            owner=record.owner,
            call_owner=record.call_owner,
            key=record.key,
            cancel_asked=cancel_asked(record),
            progress=_progress(record),
            result=_result(record),
            logs=tuple(_line(number, line) for number, line in record.logs),
        )

    @property
    def ended(self) -> bool:
        """Whether it is in a final state."""
        return self.state in (State.SUCCEEDED, State.FAILED, State.CANCELLED)


class Inspector:
    """Looks at the jobs of a store, and changes none.

    Args:
        store: the store, or its reading side.
        attempts: says how many attempts jobs may have.
        arrive: returns when the journal has a job, or no outbox has it.
    """

    def __init__(
        self,
        store: Reading,
        attempts: Attempts | None = None,
        arrive: Callable[[bytes], Awaitable[None]] | None = None,
    ) -> None:
        self._store = store
        self._attempts = attempts
        self._arrive = arrive

    def read(self, record: JobRecord) -> JobStatus:
        """Read a job as the journal gave it."""
        return JobStatus.of(record, self._attempts)

    async def get(self, id: str | UUID) -> JobStatus:
        """Return a job with its arguments, attempts, result and log lines.

        Raises:
            JobNotFound: no job has this id, or it has been pruned, or it is not an id.
            JournalUnavailable: the journal cannot be read now.
        """
        try:
            raw = id.bytes if isinstance(id, UUID) else id_bytes(id)
        except ValueError:
            raise JobNotFound(f"{quoted(id)} is not the id of a job") from None
        record = await self._store.get(raw)
        if record is None and self._arrive is not None:
            await self._arrive(raw)
            record = await self._store.get(raw)
        if record is None:
            raise JobNotFound(f"no job has the id {cut(str(id))}; it may have been pruned")
        return self.read(record)

    async def page(
        self,
        state: State | None = None,
        task: str | None = None,
        queue: str | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> list[JobStatus]:
        """Return jobs, newest first, without attempts, results and log lines.

        Args:
            state: only jobs in this state.
            task: only jobs of the task with this name.
            queue: only jobs of this queue.
            before: the `seq` of the last job of the page before.
            limit: how many jobs at most; 1 or more.

        Raises:
            ValueError: `limit` is below 1.
            JournalUnavailable: the journal cannot be read now.
        """
        if limit < 1:
            raise ValueError(f"limit={limit}: ask for one job or more")
        states = () if state is None else (state,)
        wanted = JobFilter(states=states, task=task, queue=queue, before=before, limit=limit)
        return [self.read(record) for record in await self._store.page(wanted)]

    async def counts(self) -> list[Counts]:
        """Return how many jobs each task has in each state; states without jobs are left out.

        Raises:
            JournalUnavailable: the journal cannot be read now.
        """
        return [count for count in await self._store.counts() if count.jobs]


def time_of(microseconds: int) -> datetime:
    """Return a moment; one that no date can be, as the nearest that can."""
    try:
        return _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        return _LAST if microseconds > 0 else _FIRST


def _arguments(payload: bytes) -> Arguments | None:
    try:
        call = json.loads(payload)
        return Arguments(positional=call["a"], named=call["k"])
    except (ValueError, TypeError, LookupError, RecursionError):
        return None


def _attempt(record: AttemptRecord) -> AttemptStatus:
    return AttemptStatus(
        number=record.number,
        started=time_of(record.started),
        finished=time_of(record.finished),
        error=record.error,
        traceback=record.traceback,
        host=record.host,
        pid=record.pid,
        release=record.release,
    )


def _progress(record: JobRecord) -> JobProgress | None:
    if record.progress is None:
        return None
    done, total, message, at = record.progress
    return JobProgress(done=done, total=total, message=message, at=time_of(at))


def _result(record: JobRecord) -> Any:
    """Return the result in JSON's own types: NaN and the infinities, which JSON has not, become null."""
    if record.result is None:
        return None
    try:
        found = from_json(record.result)
        return found if type(found) is str else from_json(to_json(found, inf_nan_mode="null"))
    except ValueError:
        return None


def _line(attempt: int, line: LogLine) -> LogStatus:
    level = logging.getLevelName(line.level)
    return LogStatus(
        attempt=attempt, at=time_of(line.at), level=level, logger=line.logger, message=line.message
    )
