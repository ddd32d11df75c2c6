"""What a request is to run after its response: which tasks are listed, and what each of them is."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Final, Protocol

from starlette.background import BackgroundTask as StarletteBackgroundTask
from starlette.background import BackgroundTasks as StarletteBackgroundTasks

from postlude.enqueue.port import Port, Prepared, Turn
from postlude.errors import NotDurable, PostludeError, RequestOver
from postlude.jobs.handle import Job
from postlude.model.event.request import JobsLost, TaskDropped
from postlude.request.background import BackgroundTask, Collected, Copied, InMemory
from postlude.request.replaced import is_mock, unwatched
from postlude.tasks.names import describe
from postlude.telemetry.process import EVENTS

_KNOWN: Final = frozenset(
    {
        "starlette.background",
        "fastapi.background",
        "postlude.request.background",
        "postlude.frameworks.fastapi.hook",
    }
)


class Injected(Protocol):
    """The object that a request's parameters hold."""

    tasks: list[StarletteBackgroundTask]
    strict: bool
    replaced: bool
    """Whether somebody has replaced a method of the framework's class."""

    def is_called(self) -> bool:
        """Whether running them is somebody else's business; asked if `replaced`."""
        ...


def listed(background: Any, within: tuple[int, ...] = ()) -> Iterator[Any]:
    """Return the tasks that running a background means to run, in order; itself if its kind is unknown."""
    if (
        isinstance(background, StarletteBackgroundTasks)
        and is_known(background)
        and id(background) not in within
    ):
        for task in list(background.tasks):
            yield from listed(task, (*within, id(background)))
    else:
        yield background


def joined(tasks: Sequence[Any], own: Any) -> list[Any]:
    """Return what runs of a request's tasks and the background of its response: the tasks come first.

    A task that stands in both is the background's, so each runs as often as one of the two lists it.
    """
    ours = [] if own is None else list(listed(own))
    theirs = [task for each in tasks for task in listed(each)]
    if ours:
        once = {id(original(task)) for task in ours}
        theirs = [task for task in theirs if id(original(task)) not in once]
    return theirs + ours


def prepared_of(job: Job[Any], tasks: Sequence[Any]) -> Prepared | None:
    """Return the call among a request's tasks that a job is of."""
    calls = (task.prepared for task in tasks if isinstance(task, Collected) and task.prepared is not None)
    return next((prepared for prepared in calls if prepared.job.raw_id == job.raw_id), None)


def original(task: Any) -> Any:
    """Return the task object that this one is a copy of; itself if it is none."""
    return getattr(task, "original", task) if isinstance(task, Copied) else task


def is_known(background: Any) -> bool:
    """Whether calling it does what the frameworks' own code says."""
    if getattr(background, "replaced", False) is True:
        return not background.is_called()
    # Asked of the class, not of the function: OpenTelemetry puts one of its own in the place of Starlette's.
    giving = next(each for each in type(background).__mro__ if "__call__" in each.__dict__)
    return giving.__module__ in _KNOWN and not is_mock(type(background).__call__)


def is_call(task: Any) -> bool:
    """Whether running the task means no more than calling its function."""
    return (
        isinstance(task, StarletteBackgroundTask)
        and not isinstance(task, StarletteBackgroundTasks)
        and is_known(task)
    )


def is_wrapped_call(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a task object was given where a function is meant: `add_task(BackgroundTask(f, 1))`."""
    return not args and not kwargs and is_call(function)


def parts_of(task: Any) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """Return the call that a task object is."""
    return task.func, task.args, task.kwargs


def too_late(function: Any) -> RequestOver:
    """Return what a call is refused with that comes after the end of its request."""
    return RequestOver(
        f"add_task({describe(function)}) came after its request had ended, so nothing would run it. "
        "Use `await postlude.add_task(...)` outside of requests."
    )


def keep_in_memory(
    port: Port,
    tasks: list[Any],
    function: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    why: NotDurable,
) -> None:
    """Put a call into a list that has no durable form."""
    port.in_memory(function, str(why))
    tasks.append(InMemory(function, *args, **kwargs))


def prepare(port: Port, task: Any, *, failed: bool = False) -> Prepared | Turn | None:
    """Return the job that a task is, or its turn in memory.

    A task object that stands for more than one run is prepared anew for each: jobs have one id each.

    Args:
        failed: the request has; what cannot be kept is dropped.

    Raises:
        TypeError: it is declared, and cannot be kept; not if `failed`.
    """
    first = original(task)
    if isinstance(first, BackgroundTask) and is_known(task):
        prepared, collector = first.prepared, first.collector
        if prepared is not None and collector is not None and collector.port is port:
            first.prepared = None
            return prepared
    if isinstance(task, InMemory) or not is_call(task):
        return Turn(task)
    if is_wrapped_call(task.func, task.args, task.kwargs):
        return prepare(port, task.func, failed=failed)
    function = unwatched(task.func)
    try:
        return port.prepare(function, task.args, task.kwargs)
    except TypeError as why:
        if port.declares(function):
            if not failed:
                raise
            EVENTS.emit(TaskDropped(why))
            return None
        if isinstance(why, NotDurable):
            port.in_memory(function, str(why))
        # Else it fails where it always did: when it is called, after the response.
        return Turn(task)


def take(port: Port, tasks: list[Any], own: Any) -> list[Prepared | Turn]:
    """Take tasks out of a request's list, with the background of its response: jobs, and turns in memory.

    Raises:
        TypeError: one is declared, and cannot be kept; all stay where they are.
    """
    count = len(tasks)
    found = [prepare(port, task) for task in joined(tasks[:count], own)]
    del tasks[:count]
    return [item for item in found if item is not None]


async def store_salvaged(
    port: Port, failed: Sequence[Injected], own: Any, give: Callable[[list[Prepared]], Awaitable[None]]
) -> list[Prepared]:
    """Store what is stored although its call has failed, and take it out of the lists of such calls.

    Args:
        port: where it is handed in.
        failed: the lists.
        own: the background of the response, if it has one.
        give: gives them to the owner of the request.

    Returns:
        What is stored. A journal that does not take it is for the log: the request fails with its own error.
    """
    kept = _salvaged(port, failed, own)
    try:
        if kept:
            await give(kept)
            await port.commit(kept)
    except PostludeError as error:
        EVENTS.emit(JobsLost([prepared.job.task for prepared in kept], error))
        return []
    return kept


def _salvaged(port: Port, failed: Sequence[Injected], own: Any) -> list[Prepared]:
    kept: list[Prepared] = []
    for injected in failed:
        for task in list(injected.tasks):
            prepared = _despite_failure(port, task)
            if prepared is not None:
                kept.append(prepared)
                injected.tasks.remove(task)
    if own is not None:
        kept += [job for task in listed(own) if (job := _despite_failure(port, task)) is not None]
    return kept


def _despite_failure(port: Port, task: Any) -> Prepared | None:
    prepared: Any = getattr(original(task), "prepared", None)
    if prepared is None and is_call(task) and port.declares(unwatched(task.func)):
        prepared = prepare(port, task, failed=True)
    return prepared if getattr(prepared, "on_failure", False) is True else None
