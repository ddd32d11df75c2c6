"""What a test sees: a job that was added, and what a drain has done."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from postlude.app.components import Components
from postlude.errors import InvalidArguments, UnknownTask
from postlude.jobs.inspector import JobStatus
from postlude.model.job import JobRecord
from postlude.model.state import State, Stored


@dataclass(frozen=True, slots=True)
class AddedJob:
    """A job, as it was when the test asked."""

    id: str
    task: str
    """The name of its task."""
    args: tuple[Any, ...]
    """Arguments without a name: of positional-only parameters and of `*args`."""
    kwargs: dict[str, Any]
    """All others, by the names of their parameters."""
    queue: str
    due: datetime | None
    """When it may start at the earliest; None: at once."""
    priority: int
    key: str | None
    state: State
    failures: int
    """Attempts that have failed."""
    error: str | None
    """What the last of them raised, one line."""
    result: Any
    """What it returned, in JSON's own types."""
    record: JobRecord = field(repr=False, compare=False)
    """All that the journal knows of it."""

    @classmethod
    def of(cls, record: JobRecord, components: Components) -> "AddedJob":
        """Read a job as the journal gave it, with its attempts."""
        status = JobStatus.of(record)
        args, kwargs = _arguments(record, components)
        follows = record.stored is Stored.BLOCKED and record.reason is None
        return cls(
            id=status.id,
            task=record.task,
            args=args,
            kwargs=kwargs,
            queue=record.queue,
            due=None if follows else status.due,  # a follower's only bounds its wait
            priority=record.priority,
            key=record.key,
            state=record.state,
            failures=record.failures,
            error=status.error,
            result=status.result,
            record=record,
        )

    def __str__(self) -> str:
        components = [call_text(self.task, self.args, self.kwargs), "·", str(self.state)]
        if self.due is not None and self.state is State.QUEUED:
            components.append(f"due {self.due:%Y-%m-%d %H:%M:%S}")
        components += [f"queue={self.queue!r}"] if self.queue != "default" else []
        components += [f"priority={self.priority}"] if self.priority else []
        components += [f"key={self.key!r}"] if self.key is not None else []
        components += [f"after {self.error}"] if self.error else []
        return " ".join(components)


@dataclass(frozen=True, slots=True)
class Drained:
    """What became of jobs in one `drain` or `advance`; each counts where it was at the end."""

    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    parked: int = 0
    retrying: int = 0
    """An attempt failed, and another one is due later."""

    @property
    def jobs(self) -> int:
        """How many there were."""
        return self.succeeded + self.failed + self.cancelled + self.parked + self.retrying


Before = Mapping[bytes, tuple[State, int]]


def standing(records: Iterable[JobRecord]) -> dict[bytes, tuple[State, int]]:
    """Return where jobs are, to be compared later."""
    return {record.id: (record.state, record.failures) for record in records}


def drained(before: Before, after: Before) -> Drained:
    """Return what became of jobs between two moments."""
    ends = dict.fromkeys(State, 0)
    for id, (state, failures) in after.items():
        was, failed_before = before.get(id, (State.QUEUED, 0))
        if state is not was or failures > failed_before:
            ends[state] += 1
    return Drained(
        succeeded=ends[State.SUCCEEDED],
        failed=ends[State.FAILED],
        cancelled=ends[State.CANCELLED],
        parked=ends[State.PARKED],
        retrying=ends[State.QUEUED],
    )


def call_text(task: str, args: Iterable[Any], kwargs: Mapping[str, Any]) -> str:
    """Write a call as people would."""
    shown = [_shown(value) for value in args] + [f"{name}={_shown(value)}" for name, value in kwargs.items()]
    return f"{task}({', '.join(shown)})"


def _shown(value: Any) -> str:
    if value is ...:
        return "..."
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:197]}..."


def _arguments(record: JobRecord, components: Components) -> tuple[tuple[Any, ...], dict[str, Any]]:
    try:
        return components.registry.resolve(record.task).decode(record.payload)
    except (UnknownTask, InvalidArguments):
        # It will be parked. Show what is stored.
        stored = JobStatus.of(record).arguments
        return ((), {}) if stored is None else (tuple(stored.positional), stored.named)
