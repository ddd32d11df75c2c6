"""Looking at the jobs of the memory store. The store holds its lock."""

from collections import Counter
from itertools import islice, takewhile

from postlude.model.job import Found, JobFilter
from postlude.model.state import State, Stored
from postlude.stores.memory.row import Row
from postlude.stores.memory.shelves import Shelves
from postlude.stores.values import Counts


def page(shelves: Shelves, wanted: JobFilter) -> list[Row]:
    """Return the rows of a page, newest first."""
    rows = reversed(shelves.rows.values())
    if wanted.within is not None and shelves.rows:
        oldest = next(reversed(shelves.rows)) - wanted.within
        rows = takewhile(lambda row: row.seq > oldest, rows)
    found = (row for row in rows if row.matches(wanted))
    return list(islice(found, wanted.limit))


def find(shelves: Shelves, wanted: JobFilter) -> list[Found]:
    """Return which jobs are meant, newest first."""
    return [Found(row.seq, row.job.id, row.job.task, row.stored.public) for row in page(shelves, wanted)]


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
