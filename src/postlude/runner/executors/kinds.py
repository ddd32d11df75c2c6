"""The executors of async functions, of sync ones with dependencies, and of sync ones."""

from typing import NamedTuple

from postlude.runner.attempt.injection import Injection
from postlude.runner.executors.loop import LoopExecutor
from postlude.runner.executors.protocol import Begin, Ended, Executor
from postlude.runner.executors.threads import ThreadExecutor
from postlude.telemetry.events import Events


class Kinds(NamedTuple):
    """One of each."""

    on_loop: LoopExecutor
    injected: LoopExecutor
    """Sync functions that have dependencies: those wait here for which there is no thread."""
    threads: ThreadExecutor

    @property
    def all(self) -> tuple[Executor, ...]:
        """All of them, in this order."""
        return tuple(self)


def make_kinds(
    begin: Begin, ended: Ended, injection: Injection | None, events: Events, slots: int, threads: int
) -> Kinds:
    """Return one of each: with so many slots on the loop, and so many threads."""
    return Kinds(
        LoopExecutor(slots, begin, ended, injection=injection, events=events),
        LoopExecutor(threads, begin, ended, threads=threads, injection=injection, events=events),
        ThreadExecutor(threads, begin, ended, events=events),
    )
