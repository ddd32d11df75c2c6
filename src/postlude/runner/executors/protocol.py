"""Where work is executed: what the loop, the threads and the processes have in common.

An executor starts what fits and keeps the rest, in order. What it keeps can be taken back, by any
thread, until it starts: `deque.popleft` decides who has it.
"""

from collections import deque
from collections.abc import Callable, Collection
from contextvars import Context
from typing import Final, Protocol

from postlude.model.outcome import Outcome
from postlude.runner.attempt.work import Work

AGAIN_AFTER: Final = 0.5
"""Seconds until a thread or a process that the system refused is asked for again; its work waits."""

Ended = Callable[[Work, Outcome | BaseException], None]
"""Called on the loop with how an attempt ended."""

Begin = Callable[[Work], Context | None]
"""Called as work starts, where it starts; the context to run it in. None: it must not run any more."""


class Executor(Protocol):
    """One way of executing work."""

    waiting: deque[Work]
    ended_so_far: int

    @property
    def running(self) -> Collection[Work]:
        """What runs in its places. From any thread."""
        ...

    @property
    def free(self) -> int:
        """How many more could start at once."""
        ...

    def submit(self, work: Work) -> None:
        """Start it, now or when there is room. On the loop."""
        ...

    def runs(self, work: Work) -> bool:
        """Whether this has started and has not returned. On the loop."""
        ...

    def interrupt(self, work: Work) -> None:
        """Let work that runs come to an end, as far as this executor can. On the loop."""
        ...

    def abandon(self, work: Work) -> bool:
        """Give the place of work that runs and does not end to others; False if it has ended. On the loop."""
        ...


class Waiting(Protocol):
    """Where works wait for their start. Whoever pops one has it: who starts it, or who gives it back."""

    waiting: deque[Work]


def take_back(executor: Waiting) -> list[Work]:
    """Take everything that waits. From any thread."""
    taken: list[Work] = []
    waiting = executor.waiting
    while True:
        try:
            taken.append(waiting.popleft())
        except IndexError:
            return taken


def take_one_back(executor: Waiting, work: Work) -> bool:
    """Take this one, if it waits."""
    try:
        executor.waiting.remove(work)
    except (ValueError, IndexError):  # it is not there, or a thread has taken something meanwhile
        return False
    return True
