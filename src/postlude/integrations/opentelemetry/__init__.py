"""OpenTelemetry: `instrument(postlude)` makes spans and metrics of what happens to its jobs.

Needs `postlude[opentelemetry]`, which is the API alone; where spans go is for the application to say.
"""

from typing import Literal

try:
    from opentelemetry.metrics import MeterProvider, get_meter
    from opentelemetry.trace import TracerProvider, get_tracer
except ImportError as missing:
    raise ImportError(
        f"{__name__} needs an extra: pip install 'postlude[opentelemetry]' ({missing})"
    ) from missing

from postlude.app.postlude import Postlude
from postlude.integrations.joining import join
from postlude.integrations.opentelemetry.metrics import Metrics
from postlude.integrations.opentelemetry.spans import Spans

__all__ = ["instrument"]

_SCOPE = "postlude"


def instrument(
    postlude: Postlude,
    *,
    traces: Literal["same", "linked"] = "same",
    record_exceptions: bool = False,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
) -> None:
    """Trace and count the jobs of a Postlude from now on: once, before its application starts.

    Args:
        postlude: whose. One that is off has no jobs.
        traces: `"same"`: the first attempt of a job that was due at once is in the trace of the request that
            has added it; `"linked"`: every attempt is a trace of its own, with a link to it.
        record_exceptions: put what a failed attempt has raised into its span, with its text and traceback,
            which may hold secrets.
        tracer_provider: where spans go; None: to the global one.
        meter_provider: where metrics go; None: to the global one.

    Raises:
        ValueError: `traces` is neither.
    """
    if traces not in ("same", "linked"):
        raise ValueError(f'traces={traces!r}: give "same" or "linked"')
    tracer = get_tracer(_SCOPE, tracer_provider=tracer_provider)
    spans = Spans(tracer, postlude, traces, record_exceptions)
    metrics = Metrics(get_meter(_SCOPE, meter_provider=meter_provider), postlude)
    for listener in (metrics, spans):
        join(postlude, listener, listener)
