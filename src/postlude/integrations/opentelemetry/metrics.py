"""Metrics of what happens in this process; whoever gathers them adds the processes up."""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from postlude.app.postlude import Postlude
from postlude.clock import SECOND
from postlude.integrations.capped import Capped
from postlude.integrations.refusals import why_refused
from postlude.model.event import Event
from postlude.model.event.jobs import (
    AttemptEnded,
    AttemptStarted,
    AttemptUnsuccessful,
    EndStale,
    JobsAdded,
    JobsRefused,
)
from postlude.model.event.runner import LeaseLost, LoopStalled
from postlude.model.history import RUN, WAIT, word_of
from postlude.telemetry.carrying import CARRIED, Leaving
from postlude.telemetry.outcomes import waited

ADD: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
"""Bounds of the buckets of what adds take, in seconds."""

_MOST: Final = 10_000
"""Adds that are measured at once."""


class Metrics:
    """Counts and measures.

    Args:
        meter: what makes the instruments.
        postlude: whose jobs they are of.
    """

    def __init__(self, meter: Meter, postlude: Postlude) -> None:
        self._postlude = postlude
        self._task = Capped()
        self._began: dict[bytes, float] = {}
        self._run = self._seconds(meter, "run.duration", "of an attempt", RUN)
        self._wait = self._seconds(
            meter, "wait.duration", "from when a first attempt was due to its start", WAIT
        )
        self._add = self._seconds(meter, "add.duration", "that a response waited for the journal", ADD)
        self._attempts = meter.create_counter("postlude.attempts", "{attempt}", "Attempts that have ended")
        self._refused = meter.create_counter("postlude.adds.refused", "{job}", "Jobs that were not added")
        self._lost = meter.create_counter("postlude.leases.lost", "{lease}", "Leases that runners have lost")
        self._stale = meter.create_counter("postlude.ends.stale", "{attempt}", "Attempts that did not count")
        self._stalls = meter.create_counter(
            "postlude.loop.stalls", "{stall}", "Times that a loop stood still"
        )
        meter.create_observable_counter(
            "postlude.memory_only", [self._memory_only], "{task}", "Tasks that ran in memory only"
        )
        meter.create_observable_gauge("postlude.threads.hung", [self._hung], "{thread}", "Threads that hang")
        meter.create_observable_gauge("postlude.slots", [self._slots], "{slot}", "Jobs that can run at once")
        meter.create_observable_gauge("postlude.slots.busy", [self._busy], "{slot}", "Slots with a job")
        self.hears: Mapping[type[Event], Any] = {
            JobsAdded: self.added,
            JobsRefused: self.refused,
            AttemptStarted: self.started,
            AttemptEnded: self.ended,
            EndStale: lambda event: self._stale.add(1),
            LeaseLost: lambda event: self._lost.add(1),
            LoopStalled: lambda event: self._stalls.add(1),
        }

    @staticmethod
    def _seconds(meter: Meter, name: str, what: str, bounds: Sequence[float]) -> Any:
        return meter.create_histogram(
            f"postlude.{name}", "s", f"Seconds {what}", explicit_bucket_boundaries_advisory=bounds
        )

    # -- adding ---------------------------------------------------------------------------------

    def leave(self, jobs: Sequence[Leaving], together: bool) -> Sequence[Mapping[str, str]]:
        """Note when jobs are about to be added; nothing of it travels."""
        if len(self._began) >= _MOST:
            self._began.pop(next(iter(self._began)), None)
        self._began[jobs[0].id] = time.perf_counter()
        return [{}] * len(jobs)

    def arrive(self) -> None:
        """Nothing has travelled."""

    def added(self, event: JobsAdded) -> None:
        """Measure how long it has taken."""
        for job in event.jobs:
            began = self._began.pop(job.id, None)
            if began is not None:
                self._add.record(time.perf_counter() - began)

    def refused(self, event: JobsRefused) -> None:
        """Count jobs that were not added, by why."""
        for job in event.jobs:
            self._began.pop(job.id, None)
        self._refused.add(len(event.jobs), {"why": why_refused(event.error)})

    # -- running --------------------------------------------------------------------------------

    def started(self, event: AttemptStarted) -> None:
        """Measure how long its job has waited."""
        wait = waited(event, CARRIED.get())
        if wait is not None:
            self._wait.record(wait, {"task": self._task(event.task), "queue": event.queue})

    def ended(self, event: AttemptEnded) -> None:
        """Count an attempt that had begun, and measure it."""
        if isinstance(event, AttemptUnsuccessful) and event.error is None:
            return
        labels = {
            "task": self._task(event.task),
            "queue": event.queue,
            "outcome": word_of(event.outcome),
        }
        self._attempts.add(1, labels)
        self._run.record(max(0, event.finished - event.started) / SECOND, labels)

    # -- what is there now ----------------------------------------------------------------------

    def _memory_only(self, options: CallbackOptions) -> Iterable[Observation]:
        calls: dict[str, int] = {}
        for kind in self._postlude.counters.memory_tasks:
            name = self._task(kind.task)
            calls[name] = calls.get(name, 0) + kind.calls
        return [Observation(number, {"task": name}) for name, number in calls.items()]

    def _hung(self, options: CallbackOptions) -> Iterable[Observation]:
        return [Observation(self._postlude.counters.hung_threads)]

    def _slots(self, options: CallbackOptions) -> Iterable[Observation]:
        return [Observation(slots, {"kind": kind}) for kind, (slots, _) in self._of_slots().items()]

    def _busy(self, options: CallbackOptions) -> Iterable[Observation]:
        return [Observation(busy, {"kind": kind}) for kind, (_, busy) in self._of_slots().items()]

    def _of_slots(self) -> Mapping[str, tuple[int, int]]:
        found: dict[str, tuple[int, int]] = {}
        for runner in self._postlude.components.producer.runners:
            for kind, (slots, busy) in runner.executors.slots.items():
                before = found.get(kind, (0, 0))
                found[kind] = before[0] + slots, before[1] + busy
        return found
