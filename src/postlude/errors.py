"""Every error that Postlude raises, under one root.

An error is named for the fact and its message names the remedy.
"""

from postlude.model.wait import Wait, When, wait_of

__all__ = [
    "CannotJoin",
    "Discard",
    "ForkedJournal",
    "InvalidArguments",
    "InvalidResult",
    "JobCancelled",
    "JobFailed",
    "JobNotFound",
    "JobRefused",
    "JournalRefused",
    "JournalUnavailable",
    "KeyTaken",
    "NotDurable",
    "NothingToPause",
    "PostludeError",
    "RequestOver",
    "ResultDropped",
    "RetryLater",
    "ScheduleNotFound",
    "Snooze",
    "TaskDefinitionError",
    "UnknownTask",
    "UnsupportedFramework",
    "WaitsForItself",
]


class PostludeError(Exception):
    """The root of all errors that Postlude raises."""


class TaskDefinitionError(PostludeError, ValueError):
    """A task was defined with a wrong option, with some that contradict each other, or of what cannot be one.

    Also a `ValueError`: a wrong number is one, whoever looks at it.
    """


class NotDurable(PostludeError, TypeError):
    """A function or one of its arguments has no form that could come back from the journal.

    Raised on the line that called ``add_task``. The message names the parameter and the remedy.
    """


class UnknownTask(PostludeError):
    """A stored name is not a task of this release. The job is parked, not failed."""


class InvalidArguments(PostludeError):
    """Stored arguments do not validate against the function's annotations. The job is parked."""


class CannotJoin(PostludeError):
    """A call cannot be part of this transaction; the message says why, and what to do."""


class RequestOver(PostludeError):
    """``add_task`` was called on the background tasks of a request that has ended."""


class JournalUnavailable(PostludeError):
    """The journal did not confirm a write within its budget; in a request, the client gets 503."""


class JournalRefused(PostludeError):
    """The journal must not be used: another program's file, another version, an unsafe place."""


class JobRefused(PostludeError):
    """The journal works, and cannot store a job as it is: two have one id, for instance.

    That is a fault of the program, which trying again does not mend; in a request, it is a 500.
    """


class ForkedJournal(JournalUnavailable):
    """The journal was opened before ``os.fork``; using it in the child would lose commits."""


class JobNotFound(PostludeError, LookupError):
    """No job has this id, or it has been pruned."""


class NothingToPause(PostludeError, LookupError):
    """No task of this release and no job has the queue, or the name, that was to be paused."""


class ScheduleNotFound(PostludeError, LookupError):
    """There is no schedule of this name."""


class UnsupportedFramework(PostludeError):
    """This version of FastAPI or Starlette does not behave as the hook needs."""


class KeyTaken(PostludeError):
    """A job with this key waits or runs, and `on_conflict="raise"` was asked; in a request, 409."""


class JobFailed(PostludeError):
    """The job whose result was asked for has failed; the text is its last attempt's error."""


class JobCancelled(PostludeError):
    """The job whose result was asked for was cancelled, discarded, or had expired."""


class WaitsForItself(PostludeError):
    """The result of a job was asked for in the request that added it, which has yet to store it."""


class InvalidResult(PostludeError):
    """What a job returned does not validate against the annotation that its function has now."""


class ResultDropped(PostludeError):
    """The job succeeded, but what it returned was too large to keep, or has no durable form."""


class Snooze(Exception):
    """Raised by a task: run it again later. Costs no attempt.

    Args:
        seconds: how long from now, 0 or more, or when: a number, its text, a timedelta, an HTTP date, a
            datetime with its timezone. A value that is none of these is a failure of this attempt, and what
            comes next is the policy's.
    """

    wait: Wait | None = None
    """When, or None: what was given does not say. Also where a subclass has not called this class."""

    def __init__(self, seconds: When) -> None:
        self.wait, told = wait_of(seconds)
        super().__init__(told)

    @property
    def seconds(self) -> float | None:
        """How long from now, if seconds were given."""
        return None if self.wait is None else self.wait.seconds


class RetryLater(Exception):
    """Raised by a task: this attempt has failed, and the next one comes then.

    For a server's `Retry-After`. It costs an attempt; after the last one the job has failed.

    Args:
        seconds: how long from now, 0 or more, or when: a number, its text or an HTTP date (as in that
            header), a timedelta, a datetime with its timezone. None, or a value that is none of these: as
            long as the policy says.
        reason: what is recorded with the attempt.
    """

    wait: Wait | None = None
    """When, or None: what was given does not say. Also where a subclass has not called this class."""

    def __init__(self, seconds: When, reason: str = "") -> None:
        self.wait, told = wait_of(seconds)
        super().__init__(reason or told)

    @property
    def seconds(self) -> float | None:
        """How long from now, if seconds were given."""
        return None if self.wait is None else self.wait.seconds


class Discard(Exception):
    """Raised by a task: end the job here, cancelled with the reason `discarded`; no other attempt.

    Args:
        reason: what is recorded with the attempt.
    """
