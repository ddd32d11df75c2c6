"""Why a job that was asked for by its id is not claimed."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from postlude.model.state import Reason, Stored


class Refusal(StrEnum):
    """Why not; each but the first five may be otherwise a moment later."""

    UNKNOWN = "unknown"
    """No job has this id."""
    ENDED = "ended"
    """It has succeeded, failed or was cancelled."""
    PARKED = "parked"
    """Its task is unknown, or its arguments do not validate, for the release that had it last."""
    QUEUE = "queue"
    """It waits in another queue than those that the claim names."""
    BURIED = "buried"
    """The runner that asks is not enlisted any more."""
    RUNNING = "running"
    """A runner holds it, this one or another."""
    PAUSED = "paused"
    """Its task or its queue is paused."""
    LIMIT = "limit"
    """As many jobs of its task's key, or of its queue, as may run at once."""
    RATE = "rate"
    """As many jobs of its task, or of its queue, have started as may in this time."""
    NOT_DUE = "not_due"
    """Its time has not come, or has and nobody has made it ready yet."""
    FOLLOWS = "follows"
    """It waits for the first attempt of the one before it, or for a task of its request."""
    SUSPECT = "suspect"
    """A process has died while it ran, and the runner has another such job: each runs alone."""
    FULL = "full"
    """The runner has no free slot, and it takes part in a limit or a rate; or `limit` is reached; or none
    will be free in a moment."""


class Refused(NamedTuple):
    """A job that was asked for by its id, and why it is not claimed."""

    id: bytes
    why: Refusal


Over = Callable[[Refusal | BaseException | None], object]
"""Hears that nothing more comes of a job that was handed over: None, its attempt has ended or it was given
back; or why it was not claimed. Quick."""


def all_refused(ids: Sequence[bytes] | None, why: Refusal) -> tuple[Refused, ...]:
    """Return why none of these is claimed."""
    return tuple(Refused(id, why) for id in ids or ())


_BLOCKED: Final = {
    Reason.LIMIT: Refusal.LIMIT,
    Reason.RATE: Refusal.RATE,
    Reason.PAUSED: Refusal.PAUSED,
    None: Refusal.FOLLOWS,
}

_OTHERS: Final = {
    Stored.READY: None,
    Stored.PUBLISHED: None,
    Stored.SCHEDULED: Refusal.NOT_DUE,
    Stored.RUNNING: Refusal.RUNNING,
    Stored.PARKED: Refusal.PARKED,
}


def refusal_of(state: Stored, reason: Reason | None) -> Refusal | None:
    """Return why a job that lies here is not claimed; None: it is ready, or given to a broker."""
    if state is Stored.BLOCKED:
        return _BLOCKED.get(reason, Refusal.FOLLOWS)
    return _OTHERS.get(state, Refusal.ENDED)
