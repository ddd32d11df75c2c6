"""What happens to jobs, runners and the journal, as values: one kind for each thing that happens.

Whoever wants to know (logs, subscriptions, telemetry) listens for kinds at a dispatcher
(`postlude.telemetry.events.Events`). A value has plain fields and no text for people. Times are integers
in microseconds, UTC; durations are seconds.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """Something that has happened. To listen for a kind is to listen for all kinds that are made of it."""


@dataclass(frozen=True)
class OfJob(Event):
    """Something that has happened to one job.

    Attributes:
        id: the job's.
        task: its task's name.
        queue: that it waits under.
        attempt: the number of the attempt that it is about, from 1.
    """

    id: bytes
    task: str
    queue: str
    attempt: int
