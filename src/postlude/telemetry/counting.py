"""Counts what happens in this process that no job's row tells of, until the journal is told.

It listens for what is rare, so nothing is done for it where nothing goes wrong. How long responses waited for
the journal is noted where they do (`postlude.enqueue.producer`), without a call.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from threading import Lock
from typing import Any, Final

from postlude.model.counted import (
    ADD,
    ADDS_REFUSED,
    ADDS_TIME,
    ADDS_TIMED,
    ENDS_STALE,
    LEASES_LOST,
    LOOP_STALLS,
    MEMORY_ONLY,
    PROCESSES_DIED,
    TIMES_MISSED,
    Counted,
)
from postlude.model.event import Event
from postlude.model.event.jobs import EndStale, JobsRefused
from postlude.model.event.runner import LeaseLost, LoopStalled, RunnersBuried
from postlude.model.event.schedules import TimesMissed
from postlude.telemetry.events import Events
from postlude.telemetry.refusals import why_refused

MOST_LABELS: Final = 200
"""Tasks that ran in memory only, and schedules, that one process tells apart; others are `OTHER` together."""

OTHER: Final = "other"


class AddTimes:
    """For how long responses have waited for the journal.

    Attributes:
        counts: how many, in each bucket of `counted.ADD`.
        total: all together (seconds).
    """

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(ADD) + 1)
        self.total = 0.0

    def all(self) -> Counter[tuple[str, str]]:
        """Return it as it is counted."""
        found = Counter({(ADDS_TIMED, str(place)): n for place, n in enumerate(self.counts) if n})
        found[ADDS_TIME, ""] = round(self.total * 1_000_000)
        return found


class Counting:
    """Counts for one journal.

    Args:
        events: what happens there.
    """

    def __init__(self, events: Events) -> None:
        self.adds = AddTimes()
        self.in_memory: Callable[[], Mapping[str, int]] = dict
        """Returns how often tasks have run in memory only since the start, by their names."""
        self._counts = Counter[tuple[str, str]]()
        self._told = Counter[tuple[str, str]]()
        """What has been told of that which is counted elsewhere."""
        self._labels: set[str] = set()
        self._lock = Lock()
        hears: dict[type[Event], Callable[[Any], None]] = {
            JobsRefused: lambda event: self.note(ADDS_REFUSED, why_refused(event.error), len(event.jobs)),
            EndStale: lambda event: self.note(ENDS_STALE),
            LeaseLost: lambda event: self.note(LEASES_LOST),
            LoopStalled: lambda event: self.note(LOOP_STALLS),
            RunnersBuried: lambda event: self.note(PROCESSES_DIED, n=event.runners),
            TimesMissed: lambda event: self.note(TIMES_MISSED, self._capped(event.schedule), event.times),
        }
        for kind, hear in hears.items():
            events.listen(hear, kind)

    def note(self, name: str, label: str = "", n: int = 1) -> None:
        """Count something. From any thread."""
        with self._lock:
            self._counts[name, label] += n

    def take(self) -> list[Counted]:
        """Return what has not been told, and have it be told. From any thread."""
        with self._lock:
            elsewhere = self.adds.all()
            for task, calls in self.in_memory().items():
                elsewhere[MEMORY_ONLY, self._capped(task)] += calls
            counts, self._counts = self._counts, Counter()
            counts.update(elsewhere)
            counts.subtract(self._told)
            self._told = elsewhere
        return [Counted(*of, n) for of, n in sorted(counts.items()) if n > 0]

    def give_back(self, counted: Iterable[Counted]) -> None:
        """Count again what the journal could not be told."""
        for name, label, n in counted:
            self.note(name, label, n)

    def _capped(self, label: str) -> str:
        if label not in self._labels:
            if len(self._labels) >= MOST_LABELS:
                return OTHER
            self._labels.add(label)
        return label
