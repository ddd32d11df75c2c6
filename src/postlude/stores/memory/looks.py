"""The verbs of the memory store that only look."""

from collections.abc import Callable
from typing import TypeVar

from postlude.clock import Clock
from postlude.model.counted import Counted
from postlude.model.failure import FailureGroup
from postlude.model.history import ALL_TIME, Sum
from postlude.model.job import Found, JobFilter, JobRecord
from postlude.model.state import Stored
from postlude.stores.memory import looking
from postlude.stores.memory.claim import Waits
from postlude.stores.memory.limits import Rules
from postlude.stores.memory.lock import TellingLock
from postlude.stores.memory.outgoing import published
from postlude.stores.memory.row import Row
from postlude.stores.memory.runners import Runners
from postlude.stores.memory.shelves import Shelves
from postlude.stores.outgoing import OutState
from postlude.stores.protocol import Counts, Totals
from postlude.stores.reply import Reply
from postlude.stores.signals import Listeners
from postlude.stores.values import AuditLine, Contradiction, LivingRunner, QueueState

T = TypeVar("T")


class Looks:
    """Looks at what lies on the shelves, under the lock.

    Args:
        clock: the time.
        listeners: told of what is done under the lock.
    """

    def __init__(self, clock: Clock, listeners: Listeners) -> None:
        super().__init__()
        self._clock = clock
        self._shelves = Shelves()
        self._lock = TellingLock(self._shelves, listeners)
        self._rules = Rules()
        self._runners = Runners()

    def get(self, id: bytes) -> Reply[JobRecord | None]:
        with self._lock:
            row = self._shelves.by_id.get(id)
            found = None if row is None else self._waits().explain(self._record(row, id))
            return Reply.of(found)

    def page(self, wanted: JobFilter) -> Reply[list[JobRecord]]:
        with self._lock:
            waits = self._waits()
            found = looking.page(self._shelves, wanted)
            return Reply.of([waits.explain(self._record(row)) for row in found])

    def find(self, wanted: JobFilter) -> Reply[list[Found]]:
        return self._locked(lambda: looking.find(self._shelves, wanted))

    def ids_beginning(self, digits: str) -> Reply[list[bytes]]:
        return self._locked(lambda: looking.ids_beginning(self._shelves, digits))

    def queues(self) -> Reply[list[QueueState]]:
        return self._locked(lambda: looking.queues(self._shelves, self._rules.pauses))

    def counts(self) -> Reply[list[Counts]]:
        return self._locked(lambda: looking.counts(self._shelves))

    def totals(self) -> Reply[list[Totals]]:
        return self._locked(lambda: looking.totals(self._shelves))

    def history(self, since: int = ALL_TIME, until: int = ALL_TIME, minutes: int = 1) -> Reply[list[Sum]]:
        return self._locked(lambda: self._shelves.ledger.history(since, until, minutes))

    def groups(self, since: int = 0) -> Reply[list[FailureGroup]]:
        return self._locked(lambda: looking.groups(self._shelves, since))

    def contradictions(self) -> Reply[list[Contradiction]]:
        """Return nothing: nobody else writes here."""
        return Reply.of([])

    def audit(self, before: int | None = None, limit: int = 50) -> Reply[list[AuditLine]]:
        return self._locked(lambda: self._shelves.acts.page(before, limit))

    def counted(self) -> Reply[list[Counted]]:
        return self._locked(lambda: [Counted(*of, n) for of, n in sorted(self._shelves.counted.items())])

    def size(self) -> Reply[int | None]:
        return Reply.of(None)

    def published(self) -> Reply[list[OutState]]:
        return self._locked(lambda: published(self._shelves))

    def ready_ids(self, queue: str, limit: int) -> Reply[list[bytes]]:
        return self._locked(lambda: self._shelves.ready_ids(queue, limit))

    def living(self) -> Reply[list[LivingRunner]]:
        return self._locked(lambda: self._runners.living(self._clock.boot()))

    def _locked(self, call: Callable[[], T]) -> Reply[T]:
        with self._lock:
            return Reply.of(call())

    def _waits(self) -> Waits:
        return Waits(self._rules, self._runners.values(), self._clock)

    def _record(self, row: Row, id: bytes | None = None) -> JobRecord:
        start = row.started
        if row.stored is Stored.RUNNING:
            holder = self._runners.get(row.runner)
            start = None if holder is None else holder.marks.start_of(row.seq)
        return row.record(start, id)
