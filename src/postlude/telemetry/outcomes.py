"""How an attempt has ended, in the one word that spans, metrics and log records have for it."""

from collections.abc import Mapping

from postlude.clock import SECOND
from postlude.model.event.jobs import AttemptEnded, AttemptStarted, AttemptUnsuccessful
from postlude.model.outcome import Failed, Outcome
from postlude.model.state import Reason
from postlude.telemetry.carrying import LATER


def reason_of(outcome: Outcome) -> str | None:
    """Return why, where the word alone does not say; None: there is no more to say."""
    reason: Reason | None = getattr(outcome, "reason", None)
    return None if reason is None else reason.value


def error_type(event: AttemptEnded) -> str | None:
    """Return the class of what a failed attempt has raised, with its module unless it is built in."""
    if not isinstance(event, AttemptUnsuccessful) or not isinstance(event.outcome, Failed):
        return None
    if event.error is None or event.frames is None:  # it has not begun, or comes as text
        return event.outcome.error.partition(":")[0].strip()
    kind = type(event.error)
    module = type.__dict__["__module__"].__get__(kind)
    name: str = type.__dict__["__qualname__"].__get__(kind)
    return name if module == "builtins" else f"{module}.{name}"


def waited(event: AttemptStarted, texts: Mapping[str, str]) -> float | None:
    """Return the seconds from when a first attempt was due to its start; None: it is not the first.

    Args:
        event: its start.
        texts: what has travelled with its job.
    """
    if not event.first:
        return None
    due = texts.get(LATER, "")
    return max(0, event.started - (int(due) if due.isdecimal() else event.created)) / SECOND
