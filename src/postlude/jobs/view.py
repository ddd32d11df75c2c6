"""What clients are told of a job, over HTTP: one form for the 202, the state and its events."""

import re
from collections.abc import Collection
from datetime import datetime
from typing import Any, Final, Generic, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, create_model

from postlude.jobs.inspector import Arguments, JobStatus
from postlude.messages.quoting import quoted
from postlude.model.ids import id_bytes, id_text, made_at
from postlude.model.state import Reason, State

T = TypeVar("T")

ErrorDetail = Literal["code", "type", "text"]
"""How much clients are told of an error: its code; also the exception's class; also its text."""

Shown = Literal["task", "queue", "arguments"]
"""What else clients are told of a job, where the application says so."""

ErrorCode = Literal[
    "failed", "timed_out", "deadline", "expired", "discarded", "killed", "may_have_run", "unacknowledged",
    "cancelled",
]  # fmt: skip
"""Why a job has not succeeded."""

_CODES: Final[dict[Reason, ErrorCode]] = {
    Reason.TIMED_OUT: "timed_out",
    Reason.DEADLINE: "deadline",
    Reason.EXPIRED: "expired",
    Reason.DISCARDED: "discarded",
    Reason.KILLED: "killed",
    Reason.MAY_HAVE_RUN: "may_have_run",
    Reason.UNACKNOWLEDGED: "unacknowledged",
}
_RAISED: Final = re.compile(r"(?:[\w<>]+\.)*(\w+)(?:: ?(.*))?", re.DOTALL)
"""A line of an exception: its class, behind the names of modules and places that it is in, and its text."""


class JobError(BaseModel):
    """Why an attempt, or the job, has not succeeded."""

    # Routes that are declared with less are given what has more.
    model_config = ConfigDict(from_attributes=True)

    code: ErrorCode = Field(description="Why, in one word. There may be words that are new to you.")


class TypedJobError(JobError):
    """Why an attempt, or the job, has not succeeded, with the class of the exception."""

    type: str | None = Field(description="The class of the exception; null if none was raised.")


class ToldJobError(TypedJobError):
    """Why an attempt, or the job, has not succeeded, with what the exception said."""

    message: str | None = Field(description="What the exception said, in one line.")


_ERRORS: Final[dict[ErrorDetail, type[JobError]]] = {
    "code": JobError,
    "type": TypedJobError,
    "text": ToldJobError,
}
_ERROR: Final = "Why it has not succeeded; null until it has ended so."
_LAST_ERROR: Final = "Why its last attempt did not succeed, if there will be another one."


class JobProgress(BaseModel):
    """How far a job says that it is."""

    model_config = ConfigDict(from_attributes=True)

    current: float
    total: float | None
    percent: float | None = Field(description="From 0 to 100; null if there is no total.")
    message: str | None
    updated: datetime = Field(description="When it said so.")


class JobLinks(BaseModel):
    """Paths of what can be asked about a job; null where the application has no such route."""

    model_config = ConfigDict(from_attributes=True)

    self: str | None = Field(description="GET: the job as it is.")
    events: str | None = Field(description="GET: the job whenever it has changed, as server-sent events.")
    cancel: str | None = Field(description="POST: cancel it.")


NO_LINKS: Final = JobLinks(self=None, events=None, cancel=None)


class JobView(BaseModel, Generic[T]):
    """A job, for those who wait for it. Times are UTC."""

    # One without its type argument must validate as the one that a route declares.
    model_config = ConfigDict(from_attributes=True)

    id: str
    state: State
    done: bool = Field(description="It has ended, and nothing of it changes any more.")
    reason: Reason | None = Field(description="Why it is where it is, when the state does not say.")
    attempt: int = Field(description="The number of the attempt that comes, runs or was the last, from 1.")
    max_attempts: int | None = Field(description="How many it may have; null if that is not known.")
    created: datetime
    started: datetime | None = Field(description="When the attempt that runs, or was the last, started.")
    finished: datetime | None = Field(description="When it ended for good.")
    updated: datetime = Field(description="When anything of it changed last.")
    next_run: datetime | None = Field(description="When its next attempt is due, if it waits for that.")
    cancel_requested: bool = Field(description="It runs, and somebody has asked it to stop.")
    progress: JobProgress | None = Field(description="How far it said that it was, last.")
    result: T | None = Field(description="What it returned, once it has succeeded.")
    error: JobError | None = Field(description=_ERROR)
    last_error: JobError | None = Field(description=_LAST_ERROR)
    links: JobLinks


class Viewer:
    """Writes views as one application wants them.

    Args:
        errors: how much is told of errors.
        show: what else is told of jobs.

    Raises:
        ValueError: `errors` or `show` is none of the choices.
    """

    def __init__(self, errors: ErrorDetail = "code", show: Collection[Shown] = ()) -> None:
        if errors not in _ERRORS:
            raise ValueError(f'errors={quoted(errors)}: give "code", "type" or "text"')
        if isinstance(show, str) or not set(show) <= set(get_args(Shown)):
            raise ValueError(f'show={quoted(show)}: give some of {{"task", "queue", "arguments"}}')
        more: dict[str, Any] = {name: (str, ...) for name in ("task", "queue") if name in show}
        if "arguments" in show:
            more["arguments"] = (Arguments | None, ...)
        if errors != "code":
            kind = _ERRORS[errors] | None
            more["error"] = (kind, Field(description=_ERROR))
            more["last_error"] = (kind, Field(description=_LAST_ERROR))
        self.model: type[JobView[Any]] = JobView
        """The form of what it writes."""
        if more:
            self.model = create_model("JobView", __base__=JobView, **more)
        self._more = [name for name in ("task", "queue", "arguments") if name in show]

    def view(self, status: JobStatus, asked: str, links: JobLinks = NO_LINKS) -> JobView[Any]:
        """Return what is told of a job.

        A call that was merged into another by its key answers under its own id, with how the job
        stands that stands for it. What that returned, raised, said and was called with is another's.

        Args:
            status: the job as the journal has it.
            asked: the id that was asked for.
            links: where more is told of it.
        """
        merged = is_merged(status, asked)
        error = _error_of(status, merged)
        ended = status.ended
        told: dict[str, Any] = {
            "id": id_text(id_bytes(asked)),
            "state": status.state,
            "done": ended,
            "reason": status.reason,
            "attempt": status.attempt,
            "max_attempts": status.max_attempts,
            "created": made_at(id_bytes(asked)) if merged else status.created,
            "started": status.started,
            "finished": status.finished if ended else None,
            "updated": _updated(status),
            "next_run": status.due if _waits_for_its_time(status) else None,
            "cancel_requested": status.cancel_asked,
            "progress": _progress(status, merged),
            "result": None if merged else status.result,
            "error": error if ended else None,
            "last_error": None if ended else error,
            "links": links,
        }
        for name in self._more:
            told[name] = None if merged and name == "arguments" else getattr(status, name)
        return self.model.model_validate(told)


def is_merged(status: JobStatus, asked: str) -> bool:
    """Whether the id that was asked for is that of a call which was merged into the job by its key."""
    return id_bytes(status.id) != id_bytes(asked)


def accepted(
    id: str, created: datetime, attempts: int | None, due: datetime | None, links: JobLinks
) -> JobView[Any]:
    """Return the view of a job that its request is about to store: the body of a 202.

    Args:
        id: the job's.
        created: when the call was made.
        attempts: how many it may have.
        due: when its first attempt is due, if it waits for that.
        links: where more is told of it.
    """
    return JobView[Any](
        id=id, state=State.QUEUED, done=False, reason=None, attempt=1, max_attempts=attempts, created=created,
        started=None, finished=None, updated=created, next_run=due, cancel_requested=False, progress=None,
        result=None, error=None, last_error=None, links=links,
    )  # fmt: skip


def _waits_for_its_time(status: JobStatus) -> bool:
    """Whether its due time is when it runs next, and not only until when it follows another job."""
    return status.scheduled or status.retrying or status.reason is Reason.RATE


def _updated(status: JobStatus) -> datetime:
    times = [status.created, status.started, status.finished, *(each.finished for each in status.attempts)]
    if status.progress is not None:
        times.append(status.progress.at)
    return max(time for time in times if time is not None)


def _progress(status: JobStatus, merged: bool) -> dict[str, Any] | None:
    said = status.progress
    if said is None:
        return None
    percent = None
    if said.total is not None and said.total > 0:
        percent = min(100.0, max(0.0, round(100 * said.done / said.total, 1)))
    return {
        "current": said.done,
        "total": said.total,
        "percent": percent,
        "message": None if merged else said.message,
        "updated": said.at,
    }


def _error_of(status: JobStatus, merged: bool) -> dict[str, Any] | None:
    """Return why the last attempt did not succeed."""
    if status.state is State.SUCCEEDED or not (status.ended or status.error):
        return None
    default: ErrorCode = "cancelled" if status.state is State.CANCELLED else "failed"
    code = default if status.reason is None else _CODES.get(status.reason, default)
    raised = _RAISED.fullmatch(status.error or "")
    kind, message = raised.groups() if raised is not None else (None, status.error)
    return {"code": code, "type": None if merged else kind, "message": None if merged else message}
