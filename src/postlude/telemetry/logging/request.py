"""What the log says of requests, and of what runs in memory."""

from typing import Final

from postlude.model.event import request as event
from postlude.telemetry.log import Log
from postlude.telemetry.logging.lines import Lines, line, with_traceback
from postlude.telemetry.startup_log import announce, count_of

ROOT: Final = Log("postlude")
JOBS: Final = Log("postlude.jobs")

NAMED: Final = 10
"""Kinds of tasks in memory, and routes, that one line names."""

_REMEDY: Final = ". Instead of a method of an object, add a function that makes the object again"


def _memory_only(told: event.MemoryOnly) -> None:
    if told.name is None:
        ROOT.warning("%s: this cannot run, and will fail after the response: %s", told.where, told.why)
    else:
        ROOT.warning("%s: %s is not durable and runs in memory only: %s", told.where, told.name, told.why)


def _summed(told: event.MemorySummed) -> None:
    kinds = told.kinds
    named = ", ".join(f"{kind.task} ({kind.where})" for kind in kinds[:NAMED])
    more = f" and {len(kinds) - NAMED} more" if len(kinds) > NAMED else ""
    announce(
        f"{count_of(told.calls, 'task', 'tasks')} of "
        f"{count_of(len(kinds), 'kind', 'kinds')} ran in memory only, and would not have survived a "
        f"crash: {named}{more}; postlude.counters.memory_tasks says why{_REMEDY if told.bound else ''}"
    )


def _result_dropped(told: event.ResultDropped) -> None:
    JOBS.warning(
        "%s: what it returned is not kept: it%s %s. Annotate what the function returns with a type "
        "that pydantic restores, or store the data and return its key (this is said once)",
        told.task, f" has a part {told.part!r} that" if told.part else "", told.reason,
    )  # fmt: skip


def _jobs_lost(told: event.JobsLost) -> None:
    text = "The journal did not take the jobs of a failed request: %s"
    ROOT.error(text, ", ".join(told.tasks), exc_info=told.error)


def _routes_in_memory(told: event.RoutesInMemory) -> None:
    ROOT.warning(
        "background tasks of these routes run in memory only; use postlude.starlette.Route for them: %s",
        ", ".join(told.paths[:NAMED]) + (" ..." if len(told.paths) > NAMED else ""),
    )


def _dependency_failed(told: event.DependencyFailed) -> None:
    text = "%s had failed, and then a dependency did: %r"
    JOBS.warning(text, told.task, told.error, exc_info=told.error)


LINES: Final[Lines] = {
    event.KeyConflict: line(ROOT.warning, "a request was answered 409: %s", "error"),
    event.JobsLost: _jobs_lost,
    event.LimitsUntold: line(
        ROOT.warning, "the journal was not told of limits and rates; it is told again: %s", "error"
    ),
    event.NobodyRuns: line(
        ROOT.warning,
        "no living process runs the jobs of this journal (%s), this one neither: they wait until one does. "
        "Start the application's server, with its lifespan; without one (`--lifespan off`), jobs run only "
        "while requests come",
        "location",
    ),
    event.RunnersUnknown: line(
        ROOT.debug, "whether anybody runs jobs could not be found out: %s", "error"
    ),
    event.StreamEnded: line(ROOT.warning, "a stream of events ends before its job: %s", "error"),
    event.MemoryOnly: _memory_only,
    event.MemorySummed: _summed,
    event.MemoryTaskFailed: with_traceback(
        ROOT.error, "A background task in memory failed: %s", "task"
    ),
    event.PassthroughFailed: with_traceback(
        JOBS.error, "%s failed; Postlude is off, so it ran in memory", "task"
    ),
    event.TurnsDropped: line(
        ROOT.error, "A cancelled request dropped %d tasks that have no durable form", "tasks"
    ),
    event.TaskDropped: line(
        ROOT.error, "A failed request dropped a task that cannot be kept: %s", "error"
    ),
    event.ResultDropped: _result_dropped,
    event.ContextUnlisted: line(
        ROOT.debug, "a job's context has %r, which context= does not list; left out", "name"
    ),
    event.ContextUnread: line(ROOT.debug, "a job's context is not the JSON of this version; left out"),
    event.DrainFailed: with_traceback(
        ROOT.error, "Draining failed; the application's shutdown goes on"
    ),
    event.StatusRouteMissing: line(
        ROOT.warning,
        "tasks.accepted(...) gave an answer without Location: the application has no status route "
        "whose path can be filled; app.include_router(postlude.router(prefix='/jobs')) adds one",
    ),
    event.AddTaskWrapped: line(
        ROOT.warning,
        "add_task is wrapped (%s) and given another function than the one that is added; jobs run the "
        "function itself, without what is put around it",
        "by",
    ),
    event.RoutesInMemory: _routes_in_memory,
    event.HookFailed: line(
        ROOT.warning, "Routes that ask for postlude.fastapi.BackgroundTasks will fail: %s", "error"
    ),
    event.DependencyFailed: _dependency_failed,
}  # fmt: skip
