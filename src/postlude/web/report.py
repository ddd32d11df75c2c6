"""What clients are told of a job: how it stands, and no more of its error than the application has chosen."""

import re
from datetime import datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, Field, create_model

from postlude.jobs.inspector import Arguments, JobProgress, JobStatus
from postlude.messages.quoting import quoted
from postlude.model.ids import id_bytes, id_text, made_at
from postlude.model.state import Reason, State

ErrorDetail = Literal["code", "type", "text"]
"""How much clients are told of an error: its code; also the exception's class; also its text."""

ErrorCode = Literal[
    "failed",
    "timed_out",
    "deadline",
    "expired",
    "discarded",
    "killed",
    "may_have_run",
    "unacknowledged",
    "cancelled",
]
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
    """Why a job has ended without success."""

    code: ErrorCode = Field(description="Why, in one word. There may be words that are new to you.")


class TypedJobError(JobError):
    """Why a job has ended without success, with the class of the exception."""

    type: str | None = Field(description="The class of the exception; null if none was raised.")


class ToldJobError(TypedJobError):
    """Why a job has ended without success, with what the exception said."""

    message: str | None = Field(description="What the exception said, in one line.")


_ERRORS: Final[dict[ErrorDetail, type[JobError]]] = {
    "code": JobError,
    "type": TypedJobError,
    "text": ToldJobError,
}
_ERROR_FIELD: Final = "Why it has not succeeded; null until it has ended so."


class JobReport(BaseModel):
    """A job, for those who wait for it. Times are UTC."""

    id: str
    task: str
    queue: str
    state: State
    scheduled: bool = Field(description="It waits for its due time, and has not been attempted.")
    retrying: bool = Field(description="It waits for another attempt.")
    attempt: int = Field(description="The number of the attempt that comes, runs or was the last, from 1.")
    reason: Reason | None = Field(description="Why it is where it is, when the state does not say.")
    created: datetime
    due: datetime | None
    started: datetime | None
    finished: datetime | None
    cancel_asked: bool = Field(description="It runs, and somebody has asked it to stop.")
    progress: JobProgress | None = Field(description="How far it said that it was, last.")
    result: Any = Field(description="What it returned, once it has succeeded.")
    error: JobError | None = Field(description=_ERROR_FIELD)


class DetailedJobReport(JobReport):
    """A job with what it was called with."""

    arguments: Arguments | None


class Reporter:
    """Writes reports as one application wants them.

    Args:
        arguments: tell what jobs were called with.
        errors: how much is told of their errors.

    Raises:
        ValueError: `errors` is none of the choices.
    """

    def __init__(self, arguments: bool, errors: ErrorDetail) -> None:
        if errors not in _ERRORS:
            raise ValueError(f'errors={quoted(errors)}: give "code", "type" or "text"')
        self.model: type[JobReport] = DetailedJobReport if arguments else JobReport
        if errors != "code":
            field: Any = (_ERRORS[errors] | None, Field(description=_ERROR_FIELD))
            self.model = create_model(self.model.__name__, __base__=self.model, error=field)

    def report(self, status: JobStatus, asked: str) -> JobReport:
        """Return what is told of a job.

        A call that was merged into another by its key answers under its own id, with how the job
        stands that stands for it. What that returned, raised, said and was called with is another's.

        Args:
            status: the job as the journal has it.
            asked: the id that was asked for.
        """
        own = id_bytes(asked)
        told = {name: getattr(status, name) for name in self.model.model_fields}
        told["error"] = self._error_of(status)
        if is_merged(status, asked):
            told |= {"id": id_text(own), "created": made_at(own), "result": None}
            if "arguments" in told:
                told["arguments"] = None
            if status.progress is not None:
                told["progress"] = status.progress.model_copy(update={"message": None})
            if told["error"] is not None:
                told["error"] |= {"type": None, "message": None}
        return self.model.model_validate(told)

    @staticmethod
    def _error_of(status: JobStatus) -> dict[str, Any] | None:
        if status.state not in (State.FAILED, State.CANCELLED):
            return None
        default: ErrorCode = "failed" if status.state is State.FAILED else "cancelled"
        code = default if status.reason is None else _CODES.get(status.reason, default)
        raised = _RAISED.fullmatch(status.error or "")
        kind, message = raised.groups() if raised is not None else (None, status.error)
        return {"code": code, "type": kind, "message": message}


def is_merged(status: JobStatus, asked: str) -> bool:
    """Whether the id that was asked for is that of a call which was merged into the job by its key."""
    return id_bytes(status.id) != id_bytes(asked)
