"""What a process is for the application: one of its servers, or a worker."""

from dataclasses import dataclass
from typing import Final

from postlude.model.queues import ALL, Queues


@dataclass(frozen=True, slots=True)
class Role:
    """What a process does for the application that it imports."""

    worker: bool = False
    """It runs jobs and does nothing else (`postlude worker`)."""
    queues: Queues = ALL
    """Those that it works through."""
    concurrency: int | None = None
    """How many jobs it runs at once, of all kinds; None: as `Config` says."""
    grace: float | None = None
    """How long its end waits for jobs, in seconds; None: as `Config` says."""
    told: bool = False
    """It works through nothing by itself: an engine tells it which jobs of its queues it is to run."""
    parent: int | None = None
    """The number in the journal of the parent of the processes of an engine's worker; None: it has none."""


SERVER: Final = Role()

_this = SERVER


def this_process() -> Role:
    """Return what this process is."""
    return _this


def become(role: Role) -> None:
    """Be this from now on: before the application is imported, since its `Postlude` asks when it is made."""
    global _this
    _this = role
