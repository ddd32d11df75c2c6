"""What is declared of tasks and queues and what is paused, and what a change of it does to jobs.

Nothing here is thread-safe; the store holds its lock.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from postlude.model.bucket import Bucket
from postlude.model.limits import DeclaredLimits
from postlude.model.state import FINAL, Reason, Stored
from postlude.stores.memory.row import Row
from postlude.stores.memory.shelves import Shelves
from postlude.stores.protocol import Pause


class QueueLimits(NamedTuple):
    """What holds for one queue."""

    concurrent: int | None
    rate: Bucket | None


class Rules:
    """What holds for claims beside the order of jobs. Concurrency keys' limits are kept with the concurrency
    keys."""

    def __init__(self) -> None:
        self.rates: dict[str, Bucket] = {}
        """By task."""
        self.queues: dict[str, QueueLimits] = {}
        self._declared: dict[tuple[str, str], DeclaredLimits] = {}
        self.pauses: dict[Pause, None] = {}
        self.paused_tasks: frozenset[str] = frozenset()
        self.paused_queues: frozenset[str] = frozenset()

    @property
    def none(self) -> bool:
        """Whether nothing is paused or rated and no queue is bounded."""
        return not (self.pauses or self.rates or self.queues)

    def pause(self, what: Pause) -> bool:
        """Pause a task or a queue; False if it is so already."""
        if what in self.pauses:
            return False
        self.pauses[what] = None
        self._split()
        return True

    def resume(self, what: Pause) -> bool:
        """Undo `pause`; False if there is nothing to undo."""
        if what not in self.pauses:
            return False
        del self.pauses[what]
        self._split()
        return True

    def _split(self) -> None:
        self.paused_tasks = frozenset(what.name for what in self.pauses if what.kind == "task")
        self.paused_queues = frozenset(what.name for what in self.pauses if what.kind == "queue")

    def merge(self, bounds: Sequence[DeclaredLimits]) -> Sequence[DeclaredLimits]:
        """Return these bounds, and the others that have been declared before."""
        self._declared.update({(one.kind, one.name): one for one in bounds})
        return list(self._declared.values())

    def declare(self, bounds: Sequence[DeclaredLimits], now: int) -> set[str]:
        """Take over the rates and the queues' bounds; returns the tasks whose rates are others now."""
        before = self.rates
        rates = {b.name: _bucket(before.get(b.name), b, now) for b in bounds if b.kind == "task"}
        self.rates = {name: bucket for name, bucket in rates.items() if bucket is not None}
        queues = {b.name: self._queue_bounds(b, now) for b in bounds if b.kind == "queue"}
        self.queues = {name: bounds for name, bounds in queues.items() if bounds != (None, None)}
        return {task for task, bucket in before.items() if self.rates.get(task) is not bucket}

    def _queue_bounds(self, bounds: DeclaredLimits, now: int) -> QueueLimits:
        before = self.queues.get(bounds.name)
        return QueueLimits(bounds.concurrent, _bucket(before and before.rate, bounds, now))


def follow_clock(shelves: Shelves, rules: Rules, now: int) -> None:
    """If the clock was set back: note what rates owe by now, and let jobs wait for other turns of theirs."""
    for bounds in rules.queues.values():
        if bounds.rate is not None:
            bounds.rate.set_back(now)
    for task, bucket in rules.rates.items():
        if bucket.set_back(now):
            shelves.ready_all(shelves.blocked(task, Reason.RATE))


def _bucket(before: Bucket | None, bounds: DeclaredLimits, now: int) -> Bucket | None:
    if bounds.every is None:
        return None
    if before is None:
        return Bucket(bounds.every, bounds.burst)
    return before.adapted(bounds.every, bounds.burst, now)


def pause(shelves: Shelves, rules: Rules, what: Pause) -> bool:
    """Pause a task or a queue; False if it is so already."""
    paused = rules.pause(what)
    shelves.said.paused |= paused
    return paused


def resume(shelves: Shelves, rules: Rules, what: Pause) -> bool:
    """Undo `pause`, and ready what it has kept back; False if there is nothing to undo."""
    if not rules.resume(what):
        return False
    if what.kind == "task":
        shelves.ready_all(shelves.blocked(what.name, Reason.PAUSED))
    shelves.said.paused = shelves.said.anew = True
    return True


def declare(shelves: Shelves, rules: Rules, declared: Sequence[DeclaredLimits], now: int) -> None:
    """Take over what a release says of its tasks and queues, and do at once what it changes."""
    bounds = rules.merge(declared)
    rerated = rules.declare(bounds, now)
    concurrency_keys = shelves.concurrency_keys
    before = concurrency_keys.limits
    concurrency_keys.limits = {
        b.name: b.concurrent for b in bounds if b.kind == "task" and b.concurrent is not None
    }
    added = concurrency_keys.limits.keys() - before.keys()
    if added:
        _give_lanes(shelves, added)
    changed = {
        task for task in before.keys() | added if before.get(task) != concurrency_keys.limits.get(task)
    }
    if changed:
        _block_surplus(shelves, changed)
        for task, concurrency_key in concurrency_keys.of(changed):
            shelves.fill(task, concurrency_key)
    for task in rerated:
        shelves.ready_all(shelves.blocked(task, Reason.RATE))
    shelves.said.anew = True


def _give_lanes(shelves: Shelves, tasks: Collection[str]) -> None:
    for row in shelves.rows.values():
        if row.job.terms.concurrency_key is None and row.job.task in tasks and row.stored not in FINAL:
            row.job = row.job._replace(terms=row.job.terms._replace(concurrency_key=""))
            shelves.concurrency_keys.enter(row)


def _block_surplus(shelves: Shelves, tasks: Collection[str]) -> None:
    ready: dict[tuple[str, str | None], list[Row]] = {}
    for row in shelves.rows.values():
        if row.stored is Stored.READY and row.job.terms.concurrency_key is not None and row.job.task in tasks:
            ready.setdefault((row.job.task, row.job.terms.concurrency_key), []).append(row)
    for concurrency_key, rows in ready.items():
        last_first = sorted(rows, key=lambda row: row.order, reverse=True)
        for row in last_first[: shelves.concurrency_keys.surplus(concurrency_key)]:
            shelves.move(row, Stored.BLOCKED, Reason.LIMIT)
