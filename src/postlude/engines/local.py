"""What runs a queue. So far: this process, and others that share its journal."""

from collections.abc import Mapping
from dataclasses import dataclass

from postlude.messages.quoting import quoted
from postlude.messages.spelling import spelled
from postlude.model.limits import DeclaredLimits, Limit, Rate, bounds_of


@spelled
@dataclass(frozen=True, slots=True)
class Local:
    """Runs a queue in this process, and in every other process that shares the journal.

    Attributes:
        limit: how many of its jobs run at once, over all processes.
        rate: how many of its jobs start in a time, over all processes.

    Raises:
        ValueError: `limit` is per argument; a queue has none.
    """

    limit: Limit | None = None
    rate: Rate | None = None

    def __post_init__(self) -> None:
        if self.limit is not None and not isinstance(self.limit, Limit):
            raise ValueError(f"Local(limit={quoted(self.limit)}): give Limit(...)")
        if self.rate is not None and not isinstance(self.rate, Rate):
            raise ValueError(f"Local(rate={quoted(self.rate)}): give Rate(...)")
        if self.limit is not None and self.limit.per is not None:
            raise ValueError(
                f"Local(limit=Limit(per={quoted(self.limit.per)})): a queue's jobs are of many tasks; "
                "give that limit to the task"
            )

    @property
    def bounded(self) -> bool:
        """Whether it has a limit or a rate."""
        return self.limit is not None or self.rate is not None


def checked_queues(queues: Mapping[str, Local] | None) -> dict[str, Local]:
    """Return the queues that an application has described.

    Raises:
        ValueError: it does not give each queue's engine by its name.
    """
    if queues is not None and not isinstance(queues, Mapping):
        raise ValueError(
            f"queues={quoted(queues)}: give each queue's engine by its name, {{'mail': Local(...)}}"
        )
    found = dict(queues or {})
    for name, engine in found.items():
        if not isinstance(engine, Local):
            raise ValueError(f"queues={{{quoted(name)}: {quoted(engine)}}}: give an engine, Local(...)")
    return found


def limits_of_queues(queues: Mapping[str, Local]) -> list[DeclaredLimits]:
    """Return what the journal is told of queues."""
    return [bounds_of("queue", name, engine.limit, engine.rate) for name, engine in queues.items()]
