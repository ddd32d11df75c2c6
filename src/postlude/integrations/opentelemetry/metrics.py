"""Metrics: counters and gauges of what the journal knows of all processes, histograms of this one.

OpenTelemetry has no histograms that are read, only such as are written to: whoever gathers those adds the
processes up.
"""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from threading import Lock
from typing import Any, Final

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from postlude.app.measures import MEASURES, Measure, Measures
from postlude.app.measuring import measured_here
from postlude.app.postlude import Postlude
from postlude.clock import SECOND
from postlude.errors import PostludeError
from postlude.integrations.capped import Capped
from postlude.model.counted import ADD
from postlude.model.event import Event
from postlude.model.event.jobs import (
    AttemptEnded,
    AttemptStarted,
    AttemptUnsuccessful,
    JobsAdded,
    JobsRefused,
)
from postlude.model.history import RUN, WAIT, word_of
from postlude.telemetry.carrying import CARRIED, Leaving
from postlude.telemetry.outcomes import waited

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
        self._lock = Lock()
        self._asked: set[str] = set()
        self._read: Measures | None = None
        for measure in MEASURES:
            counts = measure.kind == "counter"
            make = meter.create_observable_counter if counts else meter.create_observable_gauge
            observe = partial(self._observe, measure)
            make(f"postlude.{measure.name}", [observe], measure.unit or "1", measure.about)
        self.hears: Mapping[type[Event], Any] = {
            JobsAdded: self.added,
            JobsRefused: self.refused,
            AttemptStarted: self.started,
            AttemptEnded: self.ended,
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
        """What is not added is not measured."""
        for job in event.jobs:
            self._began.pop(job.id, None)

    # -- running --------------------------------------------------------------------------------

    def started(self, event: AttemptStarted) -> None:
        """Measure how long its job has waited."""
        wait = waited(event, CARRIED.get())
        if wait is not None:
            self._wait.record(wait, {"task": self._task(event.task), "queue": event.queue})

    def ended(self, event: AttemptEnded) -> None:
        """Measure an attempt that had begun."""
        if isinstance(event, AttemptUnsuccessful) and event.error is None:
            return
        labels = {
            "task": self._task(event.task),
            "queue": event.queue,
            "outcome": word_of(event.outcome),
        }
        self._run.record(max(0, event.finished - event.started) / SECOND, labels)

    # -- what the journal knows of all processes ------------------------------------------------

    def _observe(self, measure: Measure, options: CallbackOptions) -> list[Observation]:
        measures = self._now(measure.name)
        return [] if measures is None else [Observation(n, labels) for labels, n in measure.of(measures)]

    def _now(self, name: str) -> Measures | None:
        """Return what there is, read once for all instruments of a collection; None: it cannot be read."""
        with self._lock:
            if not self._asked or name in self._asked:
                self._asked.clear()
                try:
                    self._read = measured_here(self._postlude.components)
                except (PostludeError, TimeoutError):
                    self._read = None
            self._asked.add(name)
            return self._read
