"""How many jobs may run at once, and how many may start in a time: checked where jobs are claimed."""

from dataclasses import dataclass
from typing import NamedTuple

from postlude.clock import SECOND
from postlude.errors import TaskDefinitionError
from postlude.messages.quoting import quoted
from postlude.messages.spelling import spelled


@spelled
@dataclass(frozen=True, slots=True)
class Limit:
    """How many jobs of a task, or of a queue, run at once, over all processes of one journal.

    Attributes:
        concurrent: so many run at once, at most.
        per: the name of an argument of the task: the limit holds for each of its values apart.

    Raises:
        TaskDefinitionError: `concurrent` is no whole number from 1, or `per` no name.
    """

    concurrent: int
    per: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.concurrent, bool) or not isinstance(self.concurrent, int) or self.concurrent < 1:
            raise TaskDefinitionError(
                f"Limit(concurrent={quoted(self.concurrent)}): give a whole number, 1 or more"
            )
        if self.per is not None and not isinstance(self.per, str):
            raise TaskDefinitionError(
                f"Limit(per={quoted(self.per)}): give the name of one of the task's arguments"
            )


@spelled
@dataclass(frozen=True, slots=True)
class Rate:
    """How many jobs of a task, or of a queue, start in a time, over all processes of one journal.

    A token bucket: after a pause, up to `count` start at once; then one each `per / count` seconds.

    Attributes:
        count: so many start within `per` seconds.
        per: seconds.

    Raises:
        TaskDefinitionError: one of them is no positive number.
    """

    count: int
    per: float = 1.0

    def __post_init__(self) -> None:
        if isinstance(self.count, bool) or not isinstance(self.count, int) or self.count < 1:
            raise TaskDefinitionError(f"Rate(count={quoted(self.count)}): give a whole number, 1 or more")
        if not isinstance(self.per, int | float) or not 0 < self.per < 1e10:
            raise TaskDefinitionError(f"Rate(per={quoted(self.per)}): give seconds, more than 0")

    @property
    def every(self) -> int:
        """Microseconds between starts that come steadily."""
        return max(1, round(self.per * SECOND / self.count))


class DeclaredLimits(NamedTuple):
    """What a release says of one task or one queue, as the journal keeps it for all processes.

    Raised limits, lowered ones and new ones reach the jobs that wait: the last release that has
    declared them decides.
    """

    kind: str
    """`"task"` or `"queue"`."""
    name: str
    concurrent: int | None = None
    every: int | None = None
    """Microseconds between starts; None: no rate."""
    burst: int = 1
    """So many may start at once after a pause."""


def bounds_of(kind: str, name: str, limit: Limit | None, rate: Rate | None) -> DeclaredLimits:
    """Return what the journal is told of a task's or a queue's limit and rate."""
    return DeclaredLimits(
        kind,
        name,
        None if limit is None else limit.concurrent,
        None if rate is None else rate.every,
        1 if rate is None else rate.count,
    )
