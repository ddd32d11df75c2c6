"""Sentry: `instrument(postlude)` shows jobs as its queues do, and reports each job that fails, once.

Needs `postlude[sentry]`, and an application that calls `sentry_sdk.init` before.
"""

from collections.abc import Mapping, Sequence
from contextvars import Context, copy_context
from functools import partial
from typing import Any, Final

try:
    import sentry_sdk
    from sentry_sdk.integrations.logging import ignore_logger
except ImportError as missing:
    raise ImportError(f"{__name__} needs an extra: pip install 'postlude[sentry]' ({missing})") from missing

from postlude.app.postlude import Postlude
from postlude.errors import RetryLater
from postlude.integrations.joining import join
from postlude.messages.raised import is_a
from postlude.model.event import Event
from postlude.model.event.jobs import (
    AttemptEnded,
    AttemptInterrupted,
    AttemptStarted,
    AttemptUnsuccessful,
    JobsAdded,
    JobsRefused,
)
from postlude.model.history import word_of
from postlude.model.ids import id_text
from postlude.model.outcome import Failed
from postlude.telemetry.carrying import CARRIED, LATER, Leaving
from postlude.telemetry.outcomes import waited

__all__ = ["instrument"]

_MOST: Final = 10_000
"""Spans that are open at once; the oldest is given up."""


def instrument(postlude: Postlude, *, every_attempt: bool = False) -> None:
    """Show and report the jobs of a Postlude from now on: once, before its application starts.

    `Snooze`, `Discard`, `RetryLater` and being cancelled are no errors. What `postlude.jobs` logs of failed
    jobs is left to this, so that Sentry's own listener of the log does not report them twice.

    Args:
        postlude: whose.
        every_attempt: report also what is tried again, once for each attempt.
    """
    ignore_logger("postlude.jobs")
    listener = Sentry(every_attempt)
    join(postlude, listener, listener)


class Sentry:
    """Makes its spans, transactions and errors."""

    def __init__(self, every_attempt: bool) -> None:
        self._every_attempt = every_attempt
        self._adding: dict[bytes, Any] = {}
        self._running: dict[bytes, tuple[int, Any, Context]] = {}
        """By job: the number of the attempt, its transaction, and the context with its scopes."""
        self.hears: Mapping[type[Event], Any] = {
            JobsAdded: self.added, JobsRefused: self.added, AttemptStarted: self.started,
            AttemptEnded: self.ended, AttemptInterrupted: self.interrupted,
        }  # fmt: skip

    def leave(self, jobs: Sequence[Leaving], together: bool) -> Sequence[Mapping[str, str]]:
        """Begin a span for each call that adds jobs; returns what is to travel with each job."""
        if together:
            return [self._begin_add(jobs[0])] * len(jobs)
        return [self._begin_add(job) for job in jobs]

    def _begin_add(self, job: Leaving) -> Mapping[str, str]:
        span = sentry_sdk.start_span(op="queue.publish", name=job.task)
        _describe(span, job.id, job.queue)
        if len(self._adding) >= _MOST:
            self._adding.pop(next(iter(self._adding)), None)
        self._adding[job.id] = span
        headers = sentry_sdk.get_current_scope().iter_trace_propagation_headers(span=span)
        return {name: text for name, text in headers if name in ("sentry-trace", "baggage") and text}

    def arrive(self) -> None:
        """Make what travels the trace of what is reported from a process of the pool."""
        sentry_sdk.continue_trace(dict(CARRIED.get()))

    def added(self, event: JobsAdded | JobsRefused) -> None:
        """End the spans of jobs that are in the journal, or are not."""
        for job in event.jobs:
            span = self._adding.pop(job.id, None)
            if span is not None:
                span.set_data("messaging.message.body.size", len(job.payload))
                if isinstance(event, JobsRefused):
                    span.set_status("internal_error")
                span.finish()

    def started(self, event: AttemptStarted) -> None:
        """Begin the transaction of an attempt. In its context, whose scopes are nobody else's."""
        texts = CARRIED.get()
        wait = waited(event, texts)
        headers = dict(texts) if event.first and LATER not in texts else {}
        begun = sentry_sdk.continue_trace(headers, op="queue.process", name=event.task, source="task")
        transaction = sentry_sdk.start_transaction(begun)
        _describe(transaction, event.id, event.queue)
        transaction.set_data("messaging.message.retry.count", event.attempt - 1)
        if wait is not None:
            transaction.set_data("messaging.message.receive.latency", wait * 1000)
        scope = sentry_sdk.get_current_scope()
        scope.span = transaction
        scope.set_transaction_name(event.task, source="task")
        sentry_sdk.get_isolation_scope().add_event_processor(partial(_named, event.task))
        made = sentry_sdk.get_current_scope().iter_trace_propagation_headers(span=transaction)
        CARRIED.set({**texts, **{name: text for name, text in made if text}})
        self._finish(event.id, "aborted")
        if len(self._running) >= _MOST:
            self._running.pop(next(iter(self._running)), None)
        self._running[event.id] = event.attempt, transaction, copy_context()

    def ended(self, event: AttemptEnded) -> None:
        """End it, and report what the job has failed with."""
        attempt, _, context = self._running.get(event.id, (0, None, None))
        if attempt != event.attempt or context is None:
            if isinstance(event.outcome, Failed):  # it has not begun: nothing was raised
                sentry_sdk.capture_message(f"{event.task}: {event.outcome.error}", "error")
            return
        if isinstance(event, AttemptUnsuccessful) and isinstance(event.outcome, Failed):
            again = event.outcome.retry_at is not None
            asked = event.error is not None and is_a(event.error, RetryLater)
            if not again or (self._every_attempt and not asked):
                context.run(_report, event, event.outcome)
            self._finish(event.id, "ok" if again and asked else "internal_error")
        else:
            self._finish(event.id, "ok" if word_of(event.outcome) != "cancelled" else "cancelled")

    def interrupted(self, event: AttemptInterrupted) -> None:
        """End the transaction of an attempt whose runner has stopped."""
        self._finish(event.id, "aborted")

    def _finish(self, id: bytes, status: str) -> None:
        _, transaction, context = self._running.pop(id, (0, None, None))
        if context is not None and transaction is not None:
            transaction.set_status(status)
            context.run(transaction.finish)


def _named(task: str, event: Any, hint: Any) -> Any:
    """Give what is sent the task's name: of a first attempt, the scope is a fork of its request's."""
    event["transaction"], event["transaction_info"] = task, {"source": "task"}
    return event


def _describe(span: Any, id: bytes, queue: str) -> None:
    span.set_data("messaging.system", "postlude")
    span.set_data("messaging.message.id", id_text(id))
    span.set_data("messaging.destination.name", queue)


def _report(event: AttemptUnsuccessful, outcome: Failed) -> None:
    """Report an error; of one that comes as text, the text."""
    if event.error is None or event.frames is None:
        sentry_sdk.capture_message(f"{event.task}: {outcome.error}", "error")
    else:
        sentry_sdk.capture_exception((type(event.error), event.error, event.frames))
