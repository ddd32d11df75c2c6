"""The role of a store that keeps what brokers were told; see `postlude.stores.protocol`."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

from postlude.model.queues import Queues
from postlude.stores.reply import Reply

NO_CONTEXTS: Final[Mapping[bytes, str]] = MappingProxyType({})

MOST_DOUBLINGS: Final = 12
"""Of the time after which a job is published again."""


class PublishCall(NamedTuple):
    """One call of `Publishing.publish`, which says what it means."""

    queue: str
    window: int
    patience: float


class Outgoing(NamedTuple):
    """Jobs whose ids are to be given to a broker now."""

    ids: list[bytes]
    """Those that were to be given again first."""
    out: int
    """How many of the queue are published, with these."""
    left: bool
    """Whether more are ready than the window has let out."""
    again: int | None = None
    """When the queue's rate lets the next one start that is ready (microseconds, UTC)."""
    contexts: Mapping[bytes, str] = NO_CONTEXTS
    """By id, what has travelled with those jobs with which something has (`Given.context`)."""


def comes_again(now: int, at: int | None, times: int | None, patience: int) -> bool:
    """Whether a published job is to be published again.

    Args:
        now: the time (microseconds, UTC).
        at: when that was done last.
        times: how often.
        patience: microseconds until it is done a second time; doubled each time.
    """
    return now - (at or 0) >= patience << min(max((times or 1) - 1, 0), MOST_DOUBLINGS)


class OutState(NamedTuple):
    """What of one queue is with its broker: published, and taken by nobody so far."""

    queue: str
    jobs: int
    since: int
    """When the one was published last whose last time is the longest ago (microseconds, UTC)."""
    times: int
    """How often the one was that was published most often."""


class Publishing(Protocol):
    """Whose ids a broker has: such jobs are published instead of ready, and only a claim by id takes them."""

    def publish(self, queue: str, window: int, *, patience: float) -> Reply[Outgoing]:
        """Let the first ready jobs of a queue be published, in the order of claims; suspects last.

        No more than `window` of the queue are published at once, and no more than may start: none while it
        is paused, and with `DeclaredLimits` as many as these let start beside what runs.

        Jobs that have been published for longer than `patience` seconds come again: after twice, four times,
        eight times that at the next times. With 0 seconds all come again, at once.
        """
        ...

    def withdraw(self, queues: Queues, ids: Sequence[bytes] | None = None) -> Reply[int]:
        """Make published jobs of these queues ready again: those of these ids, or all. Returns how many."""
        ...
