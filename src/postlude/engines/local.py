"""The engine that is this process, and others that share its journal."""

from collections.abc import Sequence
from dataclasses import dataclass

from postlude.engines.protocol import Run
from postlude.messages.quoting import quoted
from postlude.messages.spelling import spelled
from postlude.model.limits import Limit, Rate


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
    def here(self) -> bool:
        """Every process of the application that runs jobs runs those of its queues."""
        return True

    @property
    def concurrency(self) -> int | None:
        """Its jobs run in the slots of all queues."""
        return None

    @property
    def promise(self) -> float | None:
        """A job waits for those before it."""
        return None

    def publish(self, queue: str, ids: Sequence[bytes]) -> None:
        """Runners find what waits by themselves."""

    async def start(self, run: Run) -> None:
        """The application's runner begins without it."""

    async def stop(self, grace: float) -> None:
        """The application's runner ends without it."""

    def abandon(self) -> None:
        """The application's runner ends without it."""
