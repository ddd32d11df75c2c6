"""Tasks that ran in memory, because they have no durable form: how many, of which kinds, and where."""

import sys
from collections.abc import Callable
from threading import Lock
from typing import Any, Final, NamedTuple

from postlude.tasks.names import BOUND, describe
from postlude.telemetry.log import Log
from postlude.telemetry.startup_log import announce, count_of

log = Log("postlude")

MOST_KINDS: Final = 1000
"""Kinds that are told apart; lambdas may come from as many lines as there are."""

NAMED: Final = 10
"""Kinds that the summary names."""


REMEDY: Final = ". Instead of a method of an object, add a function that makes the object again"


class MemoryTask(NamedTuple):
    """One kind of task that ran in memory: a function, and the line that added it."""

    task: str
    """The function, as messages name it."""
    where: str
    """The line that added it: `file:line`."""
    why: str
    """Why it has no durable form, and what to do."""
    calls: int


class InMemory:
    """Counts the tasks of one process that ran in memory, and warns once of each kind."""

    def __init__(self) -> None:
        self.calls = 0
        self._kinds: dict[tuple[str, str], MemoryTask] = {}
        self._told = 0
        self._lock = Lock()

    @property
    def kinds(self) -> tuple[MemoryTask, ...]:
        """Those that have been met, in this order."""
        with self._lock:
            return tuple(self._kinds.values())

    def note(self, function: Callable[..., Any], why: str) -> None:
        """Count a call, and warn if it is the first of its kind."""
        file, line = _calling_line()
        where, task = f"{file}:{line}", describe(function)
        with self._lock:
            self.calls += 1
            known = self._kinds.get((task, where))
            if known is not None:
                self._kinds[task, where] = known._replace(calls=known.calls + 1)
                return
            if len(self._kinds) >= MOST_KINDS:
                return
            self._kinds[task, where] = MemoryTask(task, where, why, 1)
        if callable(function):
            name = getattr(function, "__qualname__", None)
            name = name if isinstance(name, str) else type(function).__name__
            log.warning("%s: %s is not durable and runs in memory only: %s", where, name, why)
        else:
            log.warning("%s: this cannot run, and will fail after the response: %s", where, why)

    def sum_up(self) -> None:
        """Say how many kinds there have been, and where, if there are more than at the last time."""
        kinds = self.kinds
        if len(kinds) <= self._told:
            return
        self._told = len(kinds)
        named = ", ".join(f"{kind.task} ({kind.where})" for kind in kinds[:NAMED])
        bound = REMEDY if any(BOUND in kind.why for kind in kinds) else ""
        more = f" and {len(kinds) - NAMED} more" if len(kinds) > NAMED else ""
        announce(
            f"{count_of(self.calls, 'task', 'tasks')} of "
            f"{count_of(len(kinds), 'kind', 'kinds')} ran in memory only, and would not have survived a "
            f"crash: {named}{more}; postlude.counters.memory_tasks says why{bound}"
        )


def _calling_line() -> tuple[str, int]:
    """Return the line outside this package that made the call."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "postlude":
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno
