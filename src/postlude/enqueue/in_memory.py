"""Tasks that ran in memory, because they have no durable form: how many, of which kinds, and where."""

import sys
from collections import Counter
from collections.abc import Callable
from threading import Lock
from typing import Any, Final, NamedTuple

from postlude.model.event.request import MemoryKind, MemoryOnly, MemorySummed
from postlude.tasks.names import BOUND, describe
from postlude.telemetry.events import Events

MOST_KINDS: Final = 1000
"""Kinds that are told apart; lambdas may come from as many lines as there are."""


OTHERS: Final = "other"
"""Under this name tasks are counted that are told apart no more."""


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
    """Counts the tasks of one process that ran in memory, and tells once of each kind.

    Args:
        events: who is told.
    """

    def __init__(self, events: Events) -> None:
        self._events = events
        self.calls = 0
        self._kinds: dict[tuple[str, str], MemoryTask] = {}
        self._told = 0
        self._lock = Lock()

    @property
    def kinds(self) -> tuple[MemoryTask, ...]:
        """Those that have been met, in this order."""
        with self._lock:
            return tuple(self._kinds.values())

    def by_task(self) -> Counter[str]:
        """Return how often which tasks have, by the names that messages give them; others as `OTHERS`."""
        with self._lock:
            calls = Counter[str]()
            for kind in self._kinds.values():
                calls[kind.task] += kind.calls
            if more := self.calls - calls.total():
                calls[OTHERS] += more
            return calls

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
        name = getattr(function, "__qualname__", None)
        if not isinstance(name, str):
            name = type(function).__name__
        self._events.emit(MemoryOnly(name if callable(function) else None, where, why))

    def sum_up(self) -> None:
        """Tell which kinds there have been, if there are more than at the last time."""
        kinds = self.kinds
        if len(kinds) <= self._told:
            return
        self._told = len(kinds)
        bound = any(BOUND in kind.why for kind in kinds)
        named = [MemoryKind(kind.task, kind.where) for kind in kinds]
        self._events.emit(MemorySummed(self.calls, named, bound))


def _calling_line() -> tuple[str, int]:
    """Return the line outside this package that made the call."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "postlude":
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno
