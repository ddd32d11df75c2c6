"""Story: where a job is and why, in a sentence, and what has happened to it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from postlude.dashboard import charts
from postlude.dashboard.masking import Masker
from postlude.dashboard.pages.rows import REASONS, word_of
from postlude.dashboard.site import Visit
from postlude.dashboard.words import Moment, length, rough
from postlude.jobs.inspector import JobStatus
from postlude.model.state import Reason, State

_TELLS_ITSELF: Final = {
    Reason.KILLED: "Its process died three times while it ran, and no other job could be the cause.",
    Reason.MAY_HAVE_RUN: "It runs at most once, and its process died after claiming it: it may have run, or "
    "not. To retry it is to run it perhaps a second time.",
    Reason.UNACKNOWLEDGED: "The client was told 503 although the write then went through, so it was not run.",
    Reason.EXPIRED: "It was cancelled because it would have started too late.",
    Reason.DISCARDED: "Its own task discarded it.",
    Reason.RESULT_DROPPED: "What it returned was too large to keep, or has no durable form.",
}


@dataclass(frozen=True, slots=True)
class Event:
    """A point of a job's life."""

    kind: str
    text: str
    moment: Moment
    more: str = ""


def headline(visit: Visit, status: JobStatus, name: str, paused: str = "") -> str:
    """Say in one sentence where a job is, and why.

    Args:
        visit: the request.
        status: the job.
        name: what its function is called.
        paused: its queue, or its task, if that is paused: `the queue mail`. That comes before limits, which
            block all but a few jobs of a paused queue while nothing runs.
    """
    of = f" of {status.max_attempts}" if status.max_attempts else ""
    kind = (status.error or "").partition(":")[0]
    match word_of(status):
        case "succeeded":
            took = ran(status)
            tries = f", at attempt {status.attempt}" if status.attempt > 1 else ""
            return f"Succeeded{f' in {took}' if took else ''}{tries}."
        case "failed":
            if status.error:
                times = "once" if status.attempt == 1 else f"{status.attempt} times"
                return f"Failed, tried {times}: {status.error.splitlines()[0]}"
            return "Failed without an attempt that says why."
        case "cancelled":
            return "Cancelled." if status.reason is None else f"Cancelled: {REASONS.get(status.reason, '')}."
        case "parked":
            return f"Parked: {status.note or 'this release cannot run it'}"
        case "running":
            since = (
                ""
                if status.started is None
                else f" for {rough((visit.now - status.started).total_seconds())}"
            )
            stop = "; it has been asked to stop" if status.cancel_asked else ""
            return f"Runs{since}, attempt {status.attempt}{of}{stop}."
        case "retrying":
            when = _until(visit, status.due)
            return f"Will try again {when} (attempt {status.attempt}{of}), after {kind or 'a failure'}."
        case "scheduled":
            return f"Is due {_until(visit, status.due)}."
        case _:
            return f"Waits: {paused} is paused." if paused else _waits(status, name)


def _waits(status: JobStatus, name: str) -> str:
    match status.reason:
        case Reason.PAUSED:
            return f"Waits: {name} or the queue {status.queue} is paused."
        case Reason.LIMIT:
            return (
                f"Waits for its turn: as many of {name}, or of the queue {status.queue}, run as may at once."
            )
        case Reason.RATE:
            return (
                f"Waits for its turn: as many of {name}, or of the queue {status.queue}, have started as may."
            )
        case Reason.UNSERVED:
            return f"Waits for a process that takes the queue {status.queue}: none that lives does."
        case Reason.INTERRUPTED:
            return "Waits to be run again: its process died while it ran."
        case _:
            return "Waits for a free place."


def _until(visit: Visit, due: datetime | None) -> str:
    left = 0.0 if due is None else (due - visit.now).total_seconds()
    return f"in {rough(left)}" if left >= 1 else "now"


def explained(status: JobStatus) -> str:
    """Return what there is to know of why a job is where it is; empty: the sentence says it."""
    return "" if status.reason is None else _TELLS_ITSELF.get(status.reason, "")


def ran(status: JobStatus) -> str:
    """Return for how long a job's last attempt has run."""
    if status.started is None or status.finished is None:
        return ""
    return length(max(0.0, (status.finished - status.started).total_seconds()))


def events_of(visit: Visit, status: JobStatus, masker: Masker) -> Iterator[Event]:
    """Give the points of a job's life, first to last."""

    def event(kind: str, text: str, at: datetime | None, more: str = "") -> Event | None:
        moment = visit.moment(at)
        return None if moment is None else Event(kind, text, moment, masker.text(more))

    found = [event("queued", "Added", status.created)]
    for each in status.attempts:
        took = length(max(0.0, (each.finished - each.started).total_seconds()))
        found.append(event("failed", f"Attempt {each.number} failed after {took}", each.finished, each.error))
    if status.state is State.RUNNING:
        found.append(event("running", f"Attempt {status.attempt} started", status.started))
    elif status.ended and (status.state is not State.FAILED or not status.attempts):
        found.append(event(status.state.value, status.state.value.capitalize(), status.finished))
    elif status.due is not None and not status.ended:
        found.append(event(word_of(status), f"Attempt {status.attempt} is due", status.due))
    yield from (each for each in found if each is not None)


def line(visit: Visit, status: JobStatus) -> tuple[charts.Bar, ...]:
    """Return the life of a job as pieces of time: what it waited, and its attempts."""
    begin = status.created.timestamp()
    end = (status.finished if status.ended and status.finished else visit.now).timestamp()
    if end <= begin:
        return ()
    pieces = [(each.started.timestamp(), each.finished.timestamp(), "failed") for each in status.attempts]
    if status.state is State.RUNNING and status.started is not None:
        pieces.append((status.started.timestamp(), end, "running"))
    elif status.state is State.SUCCEEDED and status.started is not None:
        pieces.append((status.started.timestamp(), end, "succeeded"))
    return charts.spans([(begin, end, "waiting"), *pieces], begin, end)
