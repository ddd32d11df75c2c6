"""An application one of whose tasks runs in a process of the pool, which imports this module."""

from opentelemetry import trace

from postlude import Postlude
from postlude.integrations.opentelemetry import instrument

postlude = Postlude(store="memory", packages=["tests"])
instrument(postlude)


@postlude.task(run="process")
def in_a_process() -> str:
    context = trace.get_current_span().get_span_context()
    return f"{context.trace_id:032x}-{context.span_id:016x}"
