"""What happens to calls before they are jobs and to those who ask about jobs, and what runs in memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from postlude.model.event import Event

# -- what is asked of the journal --------------------------------------------------------------


@dataclass(frozen=True)
class KeyConflict(Event):
    """A request is answered 409: its job's key is taken."""

    error: Exception


@dataclass(frozen=True)
class JobsLost(Event):
    """The journal did not take the jobs, of these tasks, that a request which failed was to leave."""

    tasks: Sequence[str]
    error: Exception


@dataclass(frozen=True)
class LimitsUntold(Event):
    """The journal was not told of this release's limits and rates; it is told again."""

    error: Exception


@dataclass(frozen=True)
class NobodyRuns(Event):
    """No living process runs the jobs of the journal at a place (`location`), this one neither."""

    location: str


@dataclass(frozen=True)
class RunnersUnknown(Event):
    """Whether anybody runs jobs could not be found out."""

    error: Exception


@dataclass(frozen=True)
class StreamEnded(Event):
    """A stream of a job's changes ends before the job."""

    error: Exception


# -- what has no durable form ------------------------------------------------------------------


@dataclass(frozen=True)
class MemoryOnly(Event):
    """The first task of its kind has no durable form, and runs in memory.

    Attributes:
        name: the function's; None: it cannot be called, and will fail after the response.
        where: the line that has added it: `file:line`.
        why: it has no durable form, and what to do.
    """

    name: str | None
    where: str
    why: str


class MemoryKind(NamedTuple):
    """A function that ran in memory, and the line that added it."""

    task: str
    where: str


@dataclass(frozen=True)
class MemorySummed(Event):
    """A lifespan has ended in which tasks ran in memory.

    Attributes:
        calls: how many.
        kinds: of how many kinds, and which.
        bound: whether one was a method of an object.
    """

    calls: int
    kinds: Sequence[MemoryKind]
    bound: bool


@dataclass(frozen=True)
class MemoryTaskFailed(Event):
    """A task in memory has failed, and is not the first of its request that has: that error is raised."""

    task: str
    error: Exception


@dataclass(frozen=True)
class PassthroughFailed(Event):
    """A task of a Postlude that is off has failed."""

    task: str
    error: Exception


@dataclass(frozen=True)
class TurnsDropped(Event):
    """A request was cancelled, and so many tasks of it that have no durable form do not run."""

    tasks: int


@dataclass(frozen=True)
class TaskDropped(Event):
    """A failed request had a declared task that cannot be kept. `error`: why."""

    error: Exception


@dataclass(frozen=True)
class ResultDropped(Event):
    """What a task returned cannot be kept; said once of each task.

    Attributes:
        task: its name.
        part: the place in the result that it is about; empty: all of it.
        reason: what is wrong with it.
    """

    task: str
    part: str
    reason: str


@dataclass(frozen=True)
class ContextUnlisted(Event):
    """A job has brought a context variable that this release does not list; it is left out."""

    name: str


@dataclass(frozen=True)
class ContextUnread(Event):
    """What a job has brought of context variables is not the JSON of this version; it is left out."""


# -- the application ---------------------------------------------------------------------------


@dataclass(frozen=True)
class DrainFailed(Event):
    """Draining has failed; the application's shutdown goes on."""

    error: Exception


@dataclass(frozen=True)
class StatusRouteMissing(Event):
    """`tasks.accepted(...)` gave an answer without `Location`; said once of each application."""


@dataclass(frozen=True)
class AddTaskWrapped(Event):
    """`add_task` is wrapped, and given another function than it adds. `by`: whose wrapper, and its name."""

    by: str


@dataclass(frozen=True)
class RoutesInMemory(Event):
    """The background tasks of these routes, which are not Postlude's, run in memory. `paths`: the routes'."""

    paths: Sequence[str]


@dataclass(frozen=True)
class HookFailed(Event):
    """This FastAPI cannot be hooked, and Postlude is off: routes that ask for its own class will fail."""

    error: Exception


@dataclass(frozen=True)
class DependencyFailed(Event):
    """A task had failed, and then one of its dependencies did."""

    task: str
    error: BaseException
