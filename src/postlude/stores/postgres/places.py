"""Up to which place in each queue nothing is ready any more, as far as this process has looked.

What has been claimed stays in the index of ready jobs until the server has cleaned up, and while anybody
holds a transaction open it cannot. A claim that began at the start of the index would look at all of it
again. So it begins where the last one has ended: what becomes ready later has a later place, because
groups take turns. What keeps its place, as a job that is given back does, tells it (`behind`), and then all
processes begin at the start again. What joins from an application's own transaction may come to light
behind a mark: for that they begin at the start now and then in any case.
"""

from collections.abc import Collection, Iterable, Sequence
from time import monotonic
from typing import Final, NamedTuple

_SMALLEST: Final = -(2**31)
_LARGEST: Final = 2**31 - 1
_START: Final = -(2**63)

MOST_PRIORITIES: Final = 8
"""Priorities of one queue that have marks; a claim looks at each and between them."""

SWEEP_EVERY: Final = 1.0
"""Seconds after which a claim begins at the start again, at least."""

SWEEP_SHARE: Final = 200
"""It waits so many times as long as the last such claim took: while that is slow, few claims are."""


class Seen(NamedTuple):
    """A ready job that a claim has looked at."""

    seq: int
    priority: int
    place: int


class Stretches(NamedTuple):
    """Parts of one queue's order in which ready jobs may be: one array for each column.

    Attributes:
        first: the lowest priority of each.
        place: where it begins in that.
        last: the highest priority of each.
    """

    first: list[int]
    place: list[int]
    last: list[int]


WHOLE: Final = Stretches([_SMALLEST], [_START], [_LARGEST])


class Places:
    """The marks of one process. Used by the writer's thread."""

    def __init__(self) -> None:
        self._marks: dict[str, dict[int, int]] = {}
        """By queue and priority: nothing before this place is ready."""
        self._behind: int | None = None
        self._newest = _START
        self._sweep_at = monotonic() + SWEEP_EVERY

    @property
    def queues(self) -> Collection[str]:
        """Those that are known."""
        return self._marks.keys()

    def begin(self, behind: int, newest: int) -> None:
        """A group has its turn.

        Args:
            behind: changes whenever a job has become ready at a place that may have been passed.
            newest: the last place that was given to a job.
        """
        if behind != self._behind:
            self.forget()
            self._behind = behind
        self._newest = newest

    def forget(self) -> None:
        """Begin at the start again; which queues and priorities there are stays known."""
        for marks in self._marks.values():
            for priority in marks:
                marks[priority] = _START

    def sweep(self) -> bool:
        """Forget, if it is time for that."""
        if monotonic() < self._sweep_at:
            return False
        self.forget()
        return True

    def swept(self, seconds: float) -> None:
        """Note how long the claim took that has begun at the start."""
        self._sweep_at = monotonic() + max(SWEEP_EVERY, SWEEP_SHARE * seconds)

    def know(self, queues: Iterable[str]) -> None:
        """Note that there are such queues."""
        for queue in queues:
            self._marks.setdefault(queue, {})

    def stretches(self, queue: str) -> Stretches:
        """Return where ready jobs of a queue may be."""
        marks = self._marks.get(queue)
        if not marks:
            return WHOLE
        found = Stretches([], [], [])
        unseen = _SMALLEST
        for priority in sorted(marks):
            if unseen < priority:
                _append(found, unseen, _START, priority - 1)
            _append(found, priority, marks[priority], priority)
            unseen = priority + 1
        if unseen <= _LARGEST:
            _append(found, unseen, _START, _LARGEST)
        return found

    def empty(self, queue: str) -> None:
        """Nothing of a queue is ready."""
        self.passed(queue, [], (), whole=True)

    def passed(self, queue: str, seen: Sequence[Seen], taken: Collection[int], *, whole: bool) -> None:
        """Note what a claim that is committed has looked at.

        Args:
            queue: where.
            seen: what was ready, in order, from the start or the marks on.
            taken: what of it is claimed.
            whole: that was all there was.
        """
        marks = self._marks.setdefault(queue, {})
        left: dict[int, int] = {}
        for seq, priority, place in seen:
            if seq not in taken:
                left.setdefault(priority, place)
        after = self._newest + 1
        last = seen[-1] if seen else None
        for priority in {*marks, *(one.priority for one in seen)}:
            if whole or (last is not None and priority < last.priority):
                marks[priority] = left.get(priority, after)
            elif last is not None and priority == last.priority:
                marks[priority] = left.get(priority, last.place + 1)
        while len(marks) > MOST_PRIORITIES:
            del marks[next(iter(marks))]


def _append(stretches: Stretches, first: int, place: int, last: int) -> None:
    for column, value in zip(stretches, (first, place, last), strict=True):
        column.append(value)
