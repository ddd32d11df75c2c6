"""What bounds and pauses say, within one transaction: who may start how many, now."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from postlude.model.bucket import Bucket

UNLIMITED: Final = 1 << 60


class KeptBucket(Bucket):
    """A bucket as the journal keeps it.

    Args:
        name: the kind and the name that it is of.
        every, burst, full, turns: see `Bucket`.
    """

    __slots__ = ("_kept", "name")

    def __init__(self, name: tuple[str, str], every: int, burst: int, full: int, turns: int) -> None:
        super().__init__(every, burst, full, turns)
        self.name = name
        self._kept = (full, turns)

    @property
    def changed(self) -> bool:
        """Whether it is not as the journal has it."""
        return (self.full, self.turns) != self._kept

    def keep(self) -> tuple[int, int]:
        """Return what the journal is to have of it."""
        self._kept = (self.full, self.turns)
        return self._kept


class Rules:
    """Bounds and pauses.

    Args:
        bounds: rows of kind, name, concurrent, every, burst, tat, turn, and a task's number.
        pauses: rows of kind, name, and a task's number.
    """

    def __init__(self, bounds: Iterable[Sequence[Any]], pauses: Iterable[Sequence[Any]]) -> None:
        self.bounds: dict[tuple[str, str], tuple[int | None, int | None, int]] = {}
        self.limits: dict[int, int] = {}
        """By task's number: so many of one concurrency key at once."""
        self.rates: dict[int, KeptBucket] = {}
        self.queue_limits: dict[str, int] = {}
        self.queue_rates: dict[str, KeptBucket] = {}
        for kind, name, concurrent, every, burst, tat, turn, task in bounds:
            self.bounds[kind, name] = (concurrent, every, burst)
            bucket = None if every is None else KeptBucket((kind, name), every, burst, tat, turn)
            if kind == "queue":
                if concurrent is not None:
                    self.queue_limits[name] = concurrent
                if bucket is not None:
                    self.queue_rates[name] = bucket
            elif task is not None:
                if concurrent is not None:
                    self.limits[task] = concurrent
                if bucket is not None:
                    self.rates[task] = bucket
        self.paused_queues = {name for kind, name, _ in pauses if kind == "queue"}
        self.paused_tasks = {task for kind, _, task in pauses if kind == "task"}

    @property
    def none(self) -> bool:
        """Whether nothing is paused or rated and no queue is bounded: only concurrency keys count."""
        return not (
            self.paused_queues or self.paused_tasks or self.rates or self.queue_limits or self.queue_rates
        )

    def bound(self, task: int, queue: str) -> bool:
        """Whether a task or its queue is paused, has a limit or a rate."""
        if self.none:
            return task in self.limits
        return (
            task in self.paused_tasks
            or task in self.limits
            or task in self.rates
            or queue in self.paused_queues
            or self.bounded(queue)
        )

    def bounded(self, queue: str) -> bool:
        """Whether a queue has a limit or a rate."""
        return queue in self.queue_limits or queue in self.queue_rates

    def used(self) -> list[KeptBucket]:
        """Return the buckets that have changed."""
        return [b for b in (*self.rates.values(), *self.queue_rates.values()) if b.changed]
