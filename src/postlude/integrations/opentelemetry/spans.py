"""Spans: `add {task}` for each call that adds a job, `run {task}` for each attempt."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from opentelemetry import context as otel
from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    Tracer,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from postlude.app.postlude import Postlude
from postlude.engines.local import Local
from postlude.errors import RetryLater
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
from postlude.telemetry.outcomes import error_type, reason_of, waited

_TEXTS: Final = TraceContextTextMapPropagator()

_MOST: Final = 10_000
"""Spans that are open at once; then the oldest is given up: of an `add` whose request was cancelled, nobody
tells."""

_OF_FASTAPI: Final = "fastapi.request"
"""How the key begins under which FastAPI's own telemetry keeps a request: with it, the attempt would have a
span `fastapi.background_task` too."""

_LOCAL: Final = Local()
"""What runs queues that the application does not describe."""

Attributes = dict[str, str | int | float]


class Spans:
    """Makes spans, and has their traces travel with jobs.

    Args:
        tracer: what makes them.
        postlude: whose jobs they are of.
        traces: whether a first attempt is in its request's trace (`same`), or linked to it.
        record_exceptions: whether a span has what its attempt raised.
    """

    def __init__(self, tracer: Tracer, postlude: Postlude, traces: str, record_exceptions: bool) -> None:
        self._tracer = tracer
        self._components = postlude.components
        self._same = traces == "same"
        self._record_exceptions = record_exceptions
        self._adding: dict[bytes, Span] = {}
        self._running: dict[bytes, tuple[int, Span]] = {}
        """By job: the number of the attempt, and its span."""
        self.hears: Mapping[type[Event], Any] = {
            JobsAdded: self.added,
            JobsRefused: self.refused,
            AttemptStarted: self.started,
            AttemptEnded: self.ended,
            AttemptInterrupted: self.interrupted,
        }

    # -- adding ---------------------------------------------------------------------------------

    def leave(self, jobs: Sequence[Leaving], together: bool) -> Sequence[Mapping[str, str]]:
        """Begin the spans of jobs that are about to be added; returns what is to travel with each."""
        if not together:
            return [self._begin_add([job]) for job in jobs]
        return [self._begin_add(jobs)] * len(jobs)

    def _begin_add(self, jobs: Sequence[Leaving]) -> dict[str, str]:
        first = jobs[0]
        attributes = self._about("add", "send", first.task, first.queue)
        if len(jobs) == 1:
            attributes["messaging.message.id"] = id_text(first.id)
        else:
            attributes["messaging.batch.message_count"] = len(jobs)
        span = self._tracer.start_span(f"add {first.task}", kind=SpanKind.PRODUCER, attributes=attributes)
        if len(self._adding) >= _MOST:
            self._adding.pop(next(iter(self._adding)), None)
        self._adding[first.id] = span
        return _texts_of(span)

    def added(self, event: JobsAdded) -> None:
        """End the spans of jobs that are in the journal."""
        for job in event.jobs:
            span = self._adding.pop(job.id, None)
            if span is not None:
                span.end()

    def refused(self, event: JobsRefused) -> None:
        """End the spans of jobs that are not."""
        for job in event.jobs:
            span = self._adding.pop(job.id, None)
            if span is not None:
                span.set_attribute("error.type", type(event.error).__qualname__)
                span.set_status(StatusCode.ERROR)
                span.end()

    # -- running --------------------------------------------------------------------------------

    def started(self, event: AttemptStarted) -> None:
        """Begin the span of an attempt, and make it current. In the context that the attempt has."""
        texts = CARRIED.get()
        wait, here = waited(event, texts), otel.get_current()
        origin = _origin(texts) or get_current_span(here).get_span_context()
        if self._same and event.first and LATER not in texts:
            around = Context({key: here[key] for key in here if not key.startswith(_OF_FASTAPI)})
            if origin.is_valid:
                around = set_span_in_context(NonRecordingSpan(origin), around)
            links = []
        else:
            around, links = Context(), [Link(origin)] if origin.is_valid else []
        attributes = self._about("run", "process", event.task, event.queue)
        attributes |= {"messaging.message.id": id_text(event.id), "postlude.attempt": event.attempt}
        if wait is not None:
            attributes["postlude.wait"] = wait
        span = self._tracer.start_span(
            f"run {event.task}", around, SpanKind.CONSUMER, attributes, links, event.started * 1000
        )
        self._let_go(event.id, "interrupted")
        if len(self._running) >= _MOST:
            self._running.pop(next(iter(self._running)), None)
        self._running[event.id] = event.attempt, span
        otel.attach(set_span_in_context(span, around))
        CARRIED.set({**texts, **_texts_of(span)})

    def arrive(self) -> None:
        """Make what travels current, in a process of the pool: the span itself is with the runner."""
        origin = _origin(CARRIED.get())
        if origin is not None:
            otel.attach(set_span_in_context(NonRecordingSpan(origin), Context()))

    def ended(self, event: AttemptEnded) -> None:
        """End the span of an attempt."""
        attempt, span = self._running.get(event.id, (0, None))
        if span is None or attempt != event.attempt:  # it has not begun
            return
        del self._running[event.id]
        span.set_attribute("postlude.outcome", word_of(event.outcome))
        reason = reason_of(event.outcome)
        if reason is not None:
            span.set_attribute("postlude.reason", reason)
        if isinstance(event, AttemptUnsuccessful) and isinstance(event.outcome, Failed):
            self._failed(span, event)
        span.end(event.finished * 1000)

    def _failed(self, span: Span, event: AttemptUnsuccessful) -> None:
        if event.error is not None and is_a(event.error, RetryLater) and word_of(event.outcome) == "retried":
            return
        kind = error_type(event)
        if kind:
            span.set_attribute("error.type", kind)
        span.set_status(StatusCode.ERROR)
        if self._record_exceptions and event.error is not None:
            span.record_exception(event.error)

    def interrupted(self, event: AttemptInterrupted) -> None:
        """End the span of an attempt whose runner has stopped."""
        self._let_go(event.id, "interrupted")

    def _let_go(self, id: bytes, outcome: str) -> None:
        _, span = self._running.pop(id, (0, None))
        if span is not None:
            span.set_attribute("postlude.outcome", outcome)
            span.end()

    # -- what both say --------------------------------------------------------------------------

    def _about(self, name: str, kind: str, task: str, queue: str) -> Attributes:
        components = self._components
        attributes: Attributes = {
            "messaging.system": "postlude",
            "messaging.operation.name": name,
            "messaging.operation.type": kind,
            "messaging.destination.name": queue,
            "postlude.task": task,
            "postlude.engine": type(components.queues.get(queue, _LOCAL)).__name__.lower(),
        }
        function = components.registry.function_name(task)
        if function is not None:
            attributes["code.function.name"] = function
        return attributes


def _texts_of(span: Span) -> dict[str, str]:
    texts: dict[str, str] = {}
    _TEXTS.inject(texts, set_span_in_context(span, Context()))
    return texts


def _origin(texts: Mapping[str, str]) -> SpanContext | None:
    """Return what a job was added under; None: that is not known."""
    if "traceparent" not in texts:
        return None
    origin = get_current_span(_TEXTS.extract(texts, Context())).get_span_context()
    return origin if origin.is_valid else None
