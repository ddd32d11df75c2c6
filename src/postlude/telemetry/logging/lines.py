"""How an event becomes a line of the log."""

from collections.abc import Callable, Mapping
from math import inf
from operator import attrgetter
from time import monotonic
from typing import Any, Final, Protocol

from postlude.clock import SECOND
from postlude.model.event import Event, OfJob
from postlude.model.event.jobs import AttemptEnded
from postlude.model.history import word_of
from postlude.model.ids import id_text
from postlude.telemetry.carrying import trace_id
from postlude.telemetry.log import ExcInfo
from postlude.telemetry.outcomes import error_type

Lines = Mapping[type[Event], Callable[[Any], None]]
"""What writes the line of each kind."""


class Say(Protocol):
    """One level of a `Log`."""

    def __call__(self, message: str, *args: object) -> None:
        """Log it."""
        ...


class SayWith(Protocol):
    """One that may have a traceback."""

    def __call__(
        self,
        message: str,
        *args: object,
        exc_info: ExcInfo | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        """Log it."""
        ...


AGAIN_AFTER: Final = 60.0
"""Seconds after which a line that comes again and again is written once more."""

_MOST_KEPT: Final = 100


class Seldom:
    """Writes what comes again and again while a journal is away: at once, and then once a minute.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._said: dict[str, tuple[float, int]] = {}
        """When a text was written last, and how often it was left out since then."""

    def __call__(self, write: Callable[[str], None], text: str, key: str | None = None) -> None:
        """Write a text, with how often it was left out; or leave it out.

        Args:
            write: writes it.
            text: the text.
            key: says which texts count as the same; None: the text does.
        """
        now, key = self._clock(), text if key is None else key
        last, left = self._said.get(key, (-inf, 0))
        if now - last < AGAIN_AFTER:
            self._said[key] = last, left + 1
            return
        if len(self._said) >= _MOST_KEPT:
            self._said.clear()
        self._said[key] = now, 0
        write(f"{text} ({left:,} times more since this was said)" if left else text)


def line(say: Say, message: str, *names: str) -> Callable[[Any], None]:
    """Return what writes a line that names some of an event's fields."""
    fields = [attrgetter(name) for name in names]

    def write(event: Any) -> None:
        say(message, *[field(event) for field in fields])

    return write


def with_traceback(say: SayWith, message: str, *names: str) -> Callable[[Any], None]:
    """Return what writes such a line, and the traceback of the event's `error`."""
    fields = [attrgetter(name) for name in names]

    def write(event: Any) -> None:
        say(message, *[field(event) for field in fields], exc_info=event.error)

    return write


def of_job(say: SayWith, message: str, *names: str) -> Callable[[Any], None]:
    """Return what writes a line that names a job first, and then fields; its record has the job's fields."""
    fields = [attrgetter(name) for name in names]

    def write(event: Any) -> None:
        say(message, named(event), *[field(event) for field in fields], extra=extra(event))

    return write


def named(job: Any) -> str:
    """Name a job: its task, and its id."""
    return f"{job.task} ({id_text(job.id)})"


def extra(event: OfJob) -> dict[str, object]:
    """Return what log records of a job carry (`LogKeeper`), for those made outside of its attempt.

    Those of its end say what `telemetry.logging.changes` says of good ends.
    """
    fields: dict[str, object] = {
        "job_id": id_text(event.id), "task": event.task, "attempt": event.attempt, "queue": event.queue,
    }  # fmt: skip
    if isinstance(event, AttemptEnded):
        fields |= {
            "event": "job.ended",
            "outcome": word_of(event.outcome),
            "duration": max(0, event.finished - event.started) / SECOND,
            "error_type": error_type(event) or "",
            "trace_id": trace_id(event.trace),
        }
    return fields
