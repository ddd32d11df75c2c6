"""Every error that Postlude raises, under one root.

An error is named for the fact and its message names the remedy.
"""


class PostludeError(Exception):
    """The root of all errors that Postlude raises."""


class TaskDefinitionError(PostludeError):
    """A task was defined with options that contradict each other or a function that cannot be one."""


class NotDurable(PostludeError, TypeError):
    """A function or one of its arguments has no form that could come back from the journal.

    Raised on the line that called ``add_task``. The message names the parameter and the remedy.
    """


class UnknownTask(PostludeError):
    """A stored name is not a task of this release. The job is parked, not failed."""


class InvalidArguments(PostludeError):
    """Stored arguments do not validate against the function's annotations. The job is parked."""


class RequestOver(PostludeError):
    """``add_task`` was called on the background tasks of a request that has ended."""


class JournalUnavailable(PostludeError):
    """The journal did not confirm a write within its budget; in a request, the client gets 503."""


class JournalRefused(PostludeError):
    """The journal must not be used: another program's file, another version, an unsafe place."""


class ForkedJournal(JournalUnavailable):
    """The journal was opened before ``os.fork``; using it in the child would lose commits."""


class JobNotFound(PostludeError, LookupError):
    """No job has this id, or it has been pruned."""


class UnsupportedFramework(PostludeError):
    """This version of FastAPI or Starlette does not behave as the hook needs."""
