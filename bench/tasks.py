"""The measured jobs: they do nothing, or note when they were started."""

import time
from dataclasses import dataclass, field
from threading import Lock


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


def nothing_in_a_thread() -> None:
    """A plain job without work of its own."""
    with _threads:
        seen.done += 1


async def note_wait(added: float) -> None:
    """Note how long ago this job was added, by this process's clock."""
    seen.waits.append(time.perf_counter() - added)
    seen.done += 1
