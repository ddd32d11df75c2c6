"""OpenTelemetry in an application and in the processes of its worker."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

from postlude import Postlude
from postlude.integrations.opentelemetry import instrument


class Told(NamedTuple):
    """What a span tells."""

    name: str
    trace: int
    id: int
    parent: int | None
    links: list[list[int]]
    outcome: str | None
    """Of an attempt."""
    engine: str | None


def told(span: ReadableSpan) -> Told:
    """Return what a span tells."""
    assert span.context is not None
    attributes = dict(span.attributes or {})
    return Told(
        span.name,
        span.context.trace_id,
        span.context.span_id,
        None if span.parent is None else span.parent.span_id,
        [[link.context.trace_id, link.context.span_id] for link in span.links],
        _text(attributes.get("postlude.outcome")),
        _text(attributes.get("postlude.engine")),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


class SpanFile(SpanExporter):
    """Where the processes of a worker write what they trace.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        with self._path.open("a") as file:
            file.write("".join(json.dumps(told(span)) + "\n" for span in spans))
        return SpanExportResult.SUCCESS

    def read(self) -> list[Told]:
        """Return what has been written."""
        return [Told(*json.loads(line)) for line in self._path.read_text().splitlines()]


def traced(postlude: Postlude, exporter: SpanExporter) -> TracerProvider:
    """Have an application traced."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrument(postlude, tracer_provider=provider)
    return provider
