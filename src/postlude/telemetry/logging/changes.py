"""A record of each change of a job that the log says nothing of otherwise: added, started, ended well.

For programs that read the log: what a record is about stands in its fields, and its text repeats it. How
jobs failed, were cancelled or parked is said anyway, with the same fields (`lines.extra`).
"""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic_core import from_json

from postlude.clock import SECOND
from postlude.model.event import Event
from postlude.model.event.jobs import AttemptEnded, AttemptStarted, AttemptUnsuccessful, JobsAdded
from postlude.model.history import word_of
from postlude.model.ids import id_text
from postlude.model.job import NewJob
from postlude.model.outcome import Snoozed
from postlude.telemetry.carrying import CARRIED, trace_id
from postlude.telemetry.log import Log
from postlude.telemetry.logging.lines import extra, named
from postlude.telemetry.outcomes import waited

CHANGES = Log("postlude.changes")


class Changes:
    """Writes them, at INFO, on `postlude.changes`."""

    def __init__(self) -> None:
        self.hears: Mapping[type[Event], Callable[[Any], None]] = {
            JobsAdded: self.added,
            AttemptStarted: self.started,
            AttemptEnded: self.ended,
        }

    def added(self, event: JobsAdded) -> None:
        """Say that jobs are in the journal: one record for each."""
        for job in event.jobs:
            fields = {
                "event": "job.added", "job_id": id_text(job.id), "task": job.task, "queue": job.queue,
                "attempt": 0, "trace_id": trace_id(_traceparent(job)),
            }  # fmt: skip
            CHANGES.info("job %s was added", named(job), extra=fields)

    def started(self, event: AttemptStarted) -> None:
        """Say that an attempt starts."""
        texts = CARRIED.get()
        fields = {**extra(event), "event": "job.started", "trace_id": trace_id(texts.get("traceparent"))}
        wait = waited(event, texts)
        if wait is not None:
            fields["wait"] = wait
        CHANGES.info("job %s starts, attempt %d", named(event), event.attempt, extra=fields)

    def ended(self, event: AttemptEnded) -> None:
        """Say that one has ended well, or wants to run again later."""
        if isinstance(event, AttemptUnsuccessful) and not isinstance(event.outcome, Snoozed):
            return
        took = (event.finished - event.started) / SECOND
        text = "job %s has ended after %.3f s: %s"
        CHANGES.info(text, named(event), took, word_of(event.outcome), extra=extra(event))


def _traceparent(job: NewJob) -> str | None:
    text = job.terms.given.context
    found = None if text is None else from_json(text).get("traceparent")
    return found if isinstance(found, str) else None
