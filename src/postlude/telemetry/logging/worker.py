"""What the log says of workers."""

from collections.abc import Sequence
from typing import Final

from postlude.model.event import worker as event
from postlude.telemetry.log import Log
from postlude.telemetry.logging.lines import Lines, line
from postlude.telemetry.startup_log import count_of

WORKER: Final = Log("postlude.worker")

_NAMED: Final = 3


def _processes(number: int) -> str:
    return count_of(number, "process", "processes")


def _begins(told: event.WorkerBegins) -> None:
    WORKER.info("worker of %s: starts %s", told.application, _processes(told.processes))


def _unknown(told: event.WorkerQueuesUnknown) -> None:
    WORKER.warning(
        "no declared task has the queue %s, nor does the application describe it; there are: %s",
        ", ".join(told.queues), ", ".join(told.known),
    )  # fmt: skip


def _gone(told: event.WorkerProcessGone) -> None:
    which = f"process {told.pid}" if told.pid else "a process"
    ran = "before it ran jobs" if told.seconds is None else f"after {told.seconds:.0f} s"
    again = "when the code changes" if told.again is None else f"in {told.again:g} s" if told.again else "now"
    memory = "; perhaps the system had no memory left" if "SIGKILL" in told.how else ""
    WORKER.error("%s %s, %s%s; another is started %s", which, told.how, ran, memory, again)


def _due(told: event.WorkerProcessDue) -> None:
    WORKER.info(
        "process %d has run %d jobs and uses %d MiB: it ends, and another takes its place",
        told.pid, told.jobs, told.memory // 1024**2,
    )  # fmt: skip


def _renews(told: event.WorkerRenews) -> None:
    if told.changed:
        WORKER.info("%s changed: the process is started afresh", _list(told.changed))
    else:
        WORKER.info("processes are started afresh, one after another")


def _list(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _NAMED} more have" if len(paths) > _NAMED else ""
    return ", ".join(paths[:_NAMED]) + more


def _stops(told: event.WorkerStops) -> None:
    WORKER.info(
        "%s: the worker ends; %s may take up to %g s for running jobs, what is left then is released for "
        "others (again: at once)",
        told.by, _processes(told.processes), told.grace,
    )  # fmt: skip


def _killed(told: event.WorkerProcessesKilled) -> None:
    pids = ", ".join(map(str, told.pids))
    if told.hurried:
        WORKER.warning("killed, as nobody would wait: %s", pids)
    else:
        WORKER.error("killed, as they had not ended in time: %s", pids)


LINES: Final[Lines] = {
    event.WorkerBegins: _begins,
    event.WorkerQueuesUnknown: _unknown,
    event.WorkerProcessReady: line(WORKER.info, "process %d runs jobs, after %.1f s", "pid", "seconds"),
    event.WorkerNotStarted: line(
        WORKER.error, "the worker of %s cannot be started: its process %s; what it said stands above",
        "application", "how",
    ),
    event.WorkerProcessGone: _gone,
    event.WorkerProcessDue: _due,
    event.WorkerRenews: _renews,
    event.WorkerNotRenewed: line(
        WORKER.error, "a process with the new code %s; those with the old one go on", "how"
    ),
    event.WorkerStops: _stops,
    event.WorkerProcessesKilled: _killed,
    event.WorkerStopped: line(WORKER.info, "the worker has ended"),
}  # fmt: skip
