"""The measured jobs: they do nothing, or note when they were started."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from threading import Lock

from fastapi import Depends


@dataclass(slots=True)
class Seen:
    """What the jobs of this process have left behind."""

    done: int = 0
    waits: list[float] = field(default_factory=list)
    """Seconds from the call of `add_task` to the job's first line."""


seen = Seen()
_threads = Lock()


async def nothing() -> None:
    """An async job without work of its own."""
    seen.done += 1


async def nothing_more() -> None:
    """The same, for a task with a policy."""
    seen.done += 1


async def session() -> AsyncIterator[None]:
    """A dependency that is opened and closed."""
    yield


async def nothing_with_session(session: None = Depends(session)) -> None:
    """The same, for a task with a dependency."""
    seen.done += 1


def nothing_in_a_thread() -> None:
    """A plain job without work of its own."""
    with _threads:
        seen.done += 1


def compute(seconds: float) -> None:
    """Keep the interpreter busy in a thread for this long."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        sum(number * number for number in range(100))
    nothing_in_a_thread()


async def note_wait(added: float) -> None:
    """Note how long ago this job was added, by this process's clock."""
    seen.waits.append(time.perf_counter() - added)
    seen.done += 1
