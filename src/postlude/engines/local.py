"""The engine that is this process, and others that share its journal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from postlude.engines.protocol import Run
from postlude.messages.quoting import quoted
from postlude.messages.spelling import spelled
from postlude.model.limits import Limit, Rate


@spelled
@dataclass(frozen=True, slots=True)
class Local:
    """Runs a queue in the processes that share the journal: in all that run jobs, or in workers alone.

    Attributes:
        limit: how many of its jobs run at once, over all processes.
        rate: how many of its jobs start in a time, over all processes.
        concurrency: how many of its jobs run at once in one process, in slots that only they have: other
            queues' jobs do not take them, nor do its jobs take others' (`Config(loop_slots=, threads=)`).
            Async and sync jobs count together; those with `run="process"` too, which need one of
            `Config(processes=)` besides. None: they run in the slots of all queues.
        run: `"everywhere"`, or `"workers"`: servers store its jobs and leave them to the processes of
            `postlude worker`.

    Raises:
        ValueError: `limit` is per argument; a queue has none. Or `concurrency` is no number of slots, or
            `run` is neither.
    """

    limit: Limit | None = None
    rate: Rate | None = None
    concurrency: int | None = None
    run: Literal["everywhere", "workers"] = "everywhere"

    def __post_init__(self) -> None:
        if self.limit is not None and not isinstance(self.limit, Limit):
            raise ValueError(f"Local(limit={quoted(self.limit)}): give Limit(...)")
        if self.rate is not None and not isinstance(self.rate, Rate):
            raise ValueError(f"Local(rate={quoted(self.rate)}): give Rate(...)")
        if self.concurrency is not None and (
            not isinstance(self.concurrency, int)
            or isinstance(self.concurrency, bool)
            or self.concurrency < 1
        ):
            raise ValueError(f"Local(concurrency={quoted(self.concurrency)}): give a whole number, 1 or more")
        if self.run not in ("everywhere", "workers"):
            raise ValueError(f'Local(run={quoted(self.run)}): give "everywhere" or "workers"')
        if self.limit is not None and self.limit.per is not None:
            raise ValueError(
                f"Local(limit=Limit(per={quoted(self.limit.per)})): a queue's jobs are of many tasks; "
                "give that limit to the task"
            )

    @property
    def here(self) -> bool:
        """The application's own processes run those of its queues: all of them, or its workers."""
        return True

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
