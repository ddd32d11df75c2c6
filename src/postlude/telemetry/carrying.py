"""What travels of traces with jobs: short texts in a job's context, which tracers write and read."""

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

from pydantic_core import from_json

from postlude.telemetry.log import Log

log: Final = Log("postlude")

LATER: Final = "tracelater"
"""The text that says when the first attempt of a delayed job is due (microseconds, UTC)."""

NAMES: Final = frozenset({"traceparent", "tracestate", "sentry-trace", "baggage", LATER})
"""The texts that travel. They stand beside the values of `Postlude(context=...)`, and are no variables."""

NO_TRACES: Final[Mapping[str, str]] = MappingProxyType({})

CARRIED: Final[ContextVar[Mapping[str, str]]] = ContextVar("carried", default=NO_TRACES)
"""What has travelled with the job whose attempt this is. Who begins a span for the attempt writes that one's
texts here: they are what a child process is told."""


class Leaving(NamedTuple):
    """A job that is about to be added."""

    id: bytes
    task: str
    queue: str
    due: int | None
    """When its first attempt is due (microseconds, UTC); None: at once."""


class Carrier(Protocol):
    """Has the traces of those who add jobs travel with them: one for each tracer that listens."""

    def leave(self, jobs: Sequence[Leaving], together: bool) -> Sequence[Mapping[str, str]]:
        """Return what is to travel with each. `JobsAdded` or `JobsRefused` follows, nearly always.

        Args:
            jobs: those of one write.
            together: one call has added them all (`add_tasks`).
        """
        ...

    def arrive(self) -> None:
        """Make `CARRIED` what traces what is done from now on in this context, in a process of the pool."""
        ...


def asked(carrier: Carrier, jobs: Sequence[Leaving], together: bool) -> Sequence[Mapping[str, str]]:
    """Ask a carrier what is to travel. What it raises must not keep jobs from being added."""
    try:
        found = carrier.leave(jobs, together)
    except Exception as error:
        log.error("a trace does not travel with %d jobs: %r", len(jobs), carrier, exc_info=error)
        return [NO_TRACES] * len(jobs)
    return found


def arrived(carrier: Carrier) -> None:
    """Let a carrier trace what is done from now on in this context. What it raises is not the job's."""
    try:
        carrier.arrive()
    except Exception as error:
        log.error("a trace does not arrive with a job: %r", carrier, exc_info=error)


def traces_in(context: str) -> Mapping[str, str]:
    """Return the texts by which tracers know a trace, of what travels with a job; none, if it is damaged.

    Args:
        context: as it is stored with the job.
    """
    try:
        found = from_json(context)
    except ValueError:
        return NO_TRACES
    if type(found) is not dict:
        return NO_TRACES
    names = NAMES & found.keys() - {LATER}
    return {name: found[name] for name in sorted(names) if type(found[name]) is str}


def trace_id(traceparent: str | None) -> str:
    """Return the number of a trace, in hexadecimal digits; empty: there is none."""
    parts = (traceparent or "").split("-")
    return parts[1] if len(parts) > 2 else ""
