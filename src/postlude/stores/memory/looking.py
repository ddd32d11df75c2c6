"""Looking at the jobs of the memory store. The store holds its lock."""

from collections import Counter
from itertools import islice

from postlude.model.job import JobFilter
from postlude.model.state import State, Stored
from postlude.stores.memory.row import Row
from postlude.stores.memory.shelves import Shelves
from postlude.stores.values import Counts


def page(shelves: Shelves, wanted: JobFilter) -> list[Row]:
    """Return the rows of a page, newest first."""
    found = (row for row in reversed(shelves.rows.values()) if row.matches(wanted))
    return list(islice(found, wanted.limit))


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
