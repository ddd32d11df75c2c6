"""Looking at the jobs of the memory store. The store holds its lock."""

from collections import Counter
from collections.abc import Iterable
from itertools import islice, takewhile
from typing import Final

from postlude.model.failure import Failure, FailureGroup
from postlude.model.history import ALL_TIME
from postlude.model.job import Found, JobFilter
from postlude.model.state import State, Stored
from postlude.stores.memory.row import Row
from postlude.stores.memory.shelves import Shelves
from postlude.stores.values import Counts, Pause, QueueState, Tally, Totals, totals_of

_NONE: Final = Counter[Stored]()


def page(shelves: Shelves, wanted: JobFilter) -> list[Row]:
    """Return the rows of a page, newest first."""
    rows = reversed(shelves.rows.values())
    if wanted.within is not None and shelves.rows:
        oldest = next(reversed(shelves.rows)) - wanted.within
        rows = takewhile(lambda row: row.seq > oldest, rows)
    found = (row for row in rows if row.matches(wanted) and _failed_so(shelves, row, wanted.failure))
    return list(islice(found, wanted.limit))


def _failed_so(shelves: Shelves, row: Row, failure: tuple[str, str] | None) -> bool:
    return failure is None or (row.stored is Stored.FAILED and shelves.failures[row.seq] == failure)


def find(shelves: Shelves, wanted: JobFilter) -> list[Found]:
    """Return which jobs are meant, newest first."""
    return [Found(row.seq, row.job.id, row.job.task, row.stored.public) for row in page(shelves, wanted)]


def queues(shelves: Shelves, paused: Iterable[Pause]) -> list[QueueState]:
    """Return each queue in which a job has not ended, or that is paused, by name."""
    numbers: dict[str, Counter[Stored]] = {}
    oldest: dict[str, int] = {}
    retrying: Counter[str] = Counter()
    for row in shelves.rows.values():
        if not row.stored.final:
            name = row.job.queue
            numbers.setdefault(name, Counter())[row.stored] += 1
            retrying[name] += row.stored is Stored.SCHEDULED and row.failures > 0
            if row.stored in (Stored.READY, Stored.BLOCKED, Stored.PUBLISHED):
                oldest[name] = min(row.job.created, oldest.get(name, row.job.created))
    held = {what.name for what in paused if what.kind == "queue"}
    names = sorted(numbers.keys() | held)
    return [
        _queue(name, name in held, numbers.get(name, _NONE), oldest.get(name), retrying[name])
        for name in names
    ]


def _queue(name: str, paused: bool, jobs: Counter[Stored], oldest: int | None, retrying: int) -> QueueState:
    ready = jobs[Stored.READY] + jobs[Stored.PUBLISHED]
    scheduled, blocked = jobs[Stored.SCHEDULED], jobs[Stored.BLOCKED]
    return QueueState(
        name, paused, ready, scheduled, blocked, jobs[Stored.RUNNING], jobs[Stored.PARKED], oldest, retrying
    )


def ids_beginning(shelves: Shelves, digits: str) -> list[bytes]:
    """Return the ids of jobs that begin so; two at most."""
    found = {row.job.id for id, row in shelves.by_id.items() if id.hex().startswith(digits)}
    return sorted(found)[:2]


def counts(shelves: Shelves) -> list[Counts]:
    """Return how many jobs each task has in each state."""
    totals = Counter[tuple[str, State]]()
    for task, by_state in shelves.counts.items():
        for stored in Stored:
            totals[task, stored.public] += by_state[stored]
    return [Counts(task, state, jobs) for (task, state), jobs in totals.items() if jobs]


def totals(shelves: Shelves) -> list[Totals]:
    """Return how many jobs each task has had."""
    tallies = [
        Tally(task, stored.name.lower(), by_state[stored])
        for task, by_state in shelves.counts.items()
        for stored in Stored
    ]
    left = [Tally(*of, jobs) for of, jobs in shelves.left.items()]
    ever = shelves.ledger.history(ALL_TIME, ALL_TIME, 1)
    return totals_of([*tallies, *left, *(Tally(one.task, one.outcome, one.n, one.queue) for one in ever)])


def groups(shelves: Shelves, since: int) -> list[FailureGroup]:
    """Return which failures are of one kind; see `postlude.stores.protocol.Looking.groups`."""
    found: dict[tuple[str, Failure], list[Row]] = {}
    for row in shelves.rows.values():
        if row.stored is Stored.FAILED and row.finished is not None and row.finished >= since:
            found.setdefault((row.job.task, shelves.failures[row.seq]), []).append(row)
    first = sorted(found.items(), key=lambda each: (-len(each[1]), -each[1][-1].seq))
    return [
        FailureGroup(task, *failure, len(rows), min(times), max(times), rows[-1].job.id)
        for (task, failure), rows in first
        for times in [[row.finished or 0 for row in rows]]
    ]
