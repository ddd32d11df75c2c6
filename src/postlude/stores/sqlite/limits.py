"""What bounds and pauses say, within one transaction: who may start how many, now."""

import json
from typing import Any, Final

from postlude.stores.sqlite.sql import SQL

UNLIMITED: Final = 1 << 60


class Bucket:
    """A rate, as a token bucket: it is full again at `tat`, and refused jobs are given turns.

    Args:
        name: the kind and the name that it is of.
        every: microseconds between steady starts.
        burst: so many may start at once after a pause.
        tat: when it is full again.
        turn: the next turn that can be given away.
    """

    __slots__ = ("burst", "changed", "every", "name", "tat", "turn")

    def __init__(self, name: tuple[str, str], every: int, burst: int, tat: int, turn: int) -> None:
        self.name = name
        self.every = every
        self.burst = burst
        self.tat = tat
        self.turn = turn
        self.changed = False

    def allowed(self, now: int) -> int:
        """Return how many may start now."""
        return max(0, (self.burst * self.every - max(0, self._full(now) - now)) // self.every)

    def next(self, now: int) -> int:
        """Return when one may start, if none may now."""
        return self._full(now) - (self.burst - 1) * self.every

    def take(self, now: int) -> bool:
        """Let one start now, if it may."""
        if not self.allowed(now):
            return False
        self.tat = max(self._full(now), now) + self.every
        self.changed = True
        return True

    def give_turn(self, now: int) -> int:
        """Return when a refused job is to try again: each at a moment of its own."""
        due = max(self.turn, self.next(now))
        self.turn = due + self.every
        self.changed = True
        return due

    def set_back(self, now: int) -> bool:
        """Say, once, whether the clock was set back since: then the turns that were given are far away."""
        if self._full(now) == self.tat:
            return False
        self.tat, self.turn, self.changed = self._full(now), 0, True
        return True

    def _full(self, now: int) -> int:
        """Return when it is full again; an empty one takes no longer than the burst, whatever was noted."""
        return min(self.tat, now + self.burst * self.every)


class Rules:
    """Bounds and pauses.

    Args:
        db: the writer's connection.
    """

    def __init__(self, db: Any) -> None:
        bounds, pauses = json.loads(db.execute(SQL["rules"]).get)
        self.bounds: dict[tuple[str, str], tuple[int | None, int | None, int]] = {}
        self.limits: dict[int, int] = {}
        """By task's number: so many of one lane at once."""
        self.rates: dict[int, Bucket] = {}
        self.queue_limits: dict[str, int] = {}
        self.queue_rates: dict[str, Bucket] = {}
        for kind, name, concurrent, every, burst, tat, turn, task in bounds:
            self.bounds[kind, name] = (concurrent, every, burst)
            bucket = None if every is None else Bucket((kind, name), every, burst, tat, turn)
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
        """Whether nothing is paused or rated and no queue is bounded: only lanes count."""
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

    def used(self) -> list[Bucket]:
        """Return the buckets that have changed."""
        return [b for b in (*self.rates.values(), *self.queue_rates.values()) if b.changed]
