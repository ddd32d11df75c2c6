"""Arguments that a task changes: it has copies, so whoever called it does not see that."""

from collections import Counter
from contextlib import suppress
from typing import Any, Final

from postlude.errors import NotDurable
from postlude.model.event.jobs import ArgumentsChanged
from postlude.runner.attempt.work import Work
from postlude.tasks.task import Task
from postlude.telemetry.events import Events

LOOKS: Final = 3
"""Attempts of each task that are looked at."""

MOST_TASKS: Final = 1000
"""Tasks of which that is kept."""


class Copies:
    """Looks at the first attempts of plain functions, and says once of each that changes its arguments.

    Where the framework ran it, such a function may have reported so to whoever had called it; or nobody
    looked (it takes a key out of its own dict). Which of the two cannot be seen here, so this is for those
    who look at INFO, and costs others nothing.
    """

    def __init__(self) -> None:
        self.pending: dict[int, Work] = {}
        """The works that are looked at when they have ended, by `seq`; nearly always none."""
        self._looks: Counter[str] = Counter()

    def begin(self, work: Work, task: Task[..., Any], events: Events) -> None:
        """An attempt is about to start whose arguments can be changed."""
        name, looks = task.name, self._looks
        if task.plain and looks[name] < LOOKS and (name in looks or len(looks) < MOST_TASKS):
            looks[name] += 1
            if events.wanted(ArgumentsChanged):
                self.pending[work.seq] = work

    def ended(self, work: Work, events: Events) -> None:
        """An attempt has ended: compare what it has left of its arguments with what it was given."""
        if self.pending.pop(work.seq, None) is not work:
            return
        try:
            changed = _changed(work)
        except BaseException:  # of the application: a validator's, a comparison's
            return
        if changed:
            self._looks[work.name] = LOOKS
            events.emit(ArgumentsChanged(work.name, changed))


def _changed(work: Work) -> list[str]:
    """Return the names of the arguments that are not any more what they were."""
    task, args, kwargs = work.task, work.args, work.kwargs
    if task is None or args is None or kwargs is None:
        return []
    before_args, before = task.decode(work.payload)
    before |= {f"*{place}": value for place, value in enumerate(before_args)}
    after = kwargs | {f"*{place}": value for place, value in enumerate(args)}
    with suppress(NotDurable):
        if task.encode(args, kwargs).payload == work.payload:
            return []  # also where a value is not equal to itself
    return [name for name, value in before.items() if value != after.get(name)]
