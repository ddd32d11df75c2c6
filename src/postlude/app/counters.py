"""What an operator should look at, of one process."""

from typing import NamedTuple

from postlude.enqueue.in_memory import MemoryTask


class Counters(NamedTuple):
    """What has gone on in this process that an operator should know of."""

    memory_only: int
    """Tasks that ran in memory, because they have no durable form."""
    hung_threads: int
    """Threads that still run a job whose time is over; their places have been replaced."""
    memory_tasks: tuple[MemoryTask, ...]
    """The kinds of task that ran in memory: which function, the line that added it, why, and how often."""
