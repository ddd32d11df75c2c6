"""Rows: jobs in a list, and the words for where each of them is."""

import json
from dataclasses import dataclass
from typing import Any, Final

from postlude.dashboard.masking import Called, Masker, masker_of
from postlude.dashboard.site import Visit
from postlude.dashboard.words import Moment, length, short_name
from postlude.jobs.inspector import Arguments, JobStatus
from postlude.messages.quoting import cut
from postlude.model.job import DEFAULT_QUEUE, JobRecord
from postlude.model.state import Reason, State

LONGEST: Final = 240
"""Characters of an error, and of arguments, in a row."""

REASONS: Final[dict[Reason, str]] = {
    Reason.KILLED: "its process died three times",
    Reason.EXPIRED: "too late to start",
    Reason.DISCARDED: "its task discarded it",
    Reason.MAY_HAVE_RUN: "its process died; it may have run",
    Reason.UNACKNOWLEDGED: "its client was told that it was not accepted",
    Reason.UNKNOWN_TASK: "no task of this name",
    Reason.INVALID_ARGUMENTS: "its arguments do not fit",
    Reason.LIMIT: "at its limit",
    Reason.RATE: "at its rate",
    Reason.PAUSED: "paused",
    Reason.UNSERVED: "no process takes its queue",
    Reason.INTERRUPTED: "interrupted",
    Reason.TIMED_OUT: "timed out",
    Reason.DEADLINE: "out of time",
    Reason.DAMAGED: "its row is damaged",
    Reason.RESULT_DROPPED: "its result was not kept",
}
"""Why a job is where it is, in a few words."""


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job in a list."""

    id: str
    seq: int
    href: str
    state: str
    """One of `word_of`."""
    why: str
    task: str
    name: str
    """What its function is called."""
    task_href: str
    queue: str
    """Empty: the usual one."""
    key: str
    arguments: str
    """Empty: whoever looks does not see them."""
    attempt: str
    """`2 of 5`; empty of a first one."""
    took: str
    when: Moment | None
    error: str


def word_of(status: JobStatus) -> str:
    """Return a job's state as people read it: what waits is told by what for."""
    if status.state is not State.QUEUED:
        return status.state.value
    if status.retrying:
        return "retrying"
    if status.scheduled:
        return "scheduled"
    blocked = (Reason.LIMIT, Reason.RATE, Reason.PAUSED, Reason.UNSERVED)
    return "blocked" if status.reason in blocked else "queued"


def rows_of(visit: Visit, records: list[JobRecord]) -> tuple[JobRow, ...]:
    """Return jobs as they stand in a list."""
    maskers: dict[str, tuple[Masker, list[str]]] = {}
    return tuple(_row(visit, visit.desk.inspector.read(record), maskers) for record in records)


def _row(visit: Visit, status: JobStatus, maskers: dict[str, tuple[Masker, list[str]]]) -> JobRow:
    if status.task not in maskers:
        maskers[status.task] = masker_of(visit.desk.registry, status.task)
    _, parameters = maskers[status.task]
    masker = maskers[status.task][0].fresh()
    called = in_a_line(status.arguments, parameters, masker)  # it tells the masker what is secret
    most = status.max_attempts
    first = status.attempt == 1 and (most is None or most == 1 or status.state is not State.FAILED)
    error = status.note or (status.error if status.state is not State.SUCCEEDED else None) or ""
    return JobRow(
        id=status.id,
        seq=status.seq,
        href=visit.url(f"jobs/{status.id}"),
        state=word_of(status),
        why="" if status.reason is None else REASONS.get(status.reason, status.reason.value),
        task=status.task,
        name=short_name(status.task),
        task_href=visit.url("tasks/one", name=status.task),
        queue="" if status.queue == DEFAULT_QUEUE else status.queue,
        key=status.key or "",
        arguments=called if "arguments" in visit.access.see else "",
        attempt="" if first else f"{status.attempt} of {most}" if most else f"{status.attempt}",
        took=_took(status, visit),
        when=visit.moment(_when(status)),
        error=cut(masker.text(error).split("\n")[0], LONGEST),
    )


def in_a_line(arguments: Arguments | None, parameters: list[str], masker: Masker) -> str:
    """Write what a job was called with in one line."""
    called = Called(arguments, parameters, masker)
    parts = [f"{name}={_short(value)}" if name else _short(value) for name, value in called.named]
    return cut(", ".join(parts), LONGEST)


def _short(value: Any) -> str:
    return cut(json.dumps(value, ensure_ascii=False), 80)


def _when(status: JobStatus) -> Any:
    if status.ended:
        return status.finished
    if status.state is State.RUNNING:
        return status.started
    if status.due is not None and (status.scheduled or status.retrying):
        return status.due
    return status.created


def _took(status: JobStatus, visit: Visit) -> str:
    if status.started is None:
        return ""
    if status.state is State.RUNNING:
        return length(max(0.0, (visit.now - status.started).total_seconds()))
    if status.ended and status.finished is not None:
        return length(max(0.0, (status.finished - status.started).total_seconds()))
    return ""
