"""What is told of many jobs at once, from the rows that have it, whatever stands in them."""

from collections.abc import Iterator, Sequence
from typing import Any

from postlude.model.failure import FailureGroup
from postlude.model.history import Sum, sum_of
from postlude.model.state import State
from postlude.stores.protocol import Counts
from postlude.stores.relational.cells import Cells
from postlude.stores.values import Contradiction, Tally

Rows = Sequence[Sequence[Any]]
"""Of the statement that has the function's name, if nothing else is said."""


def tallies(rows: Rows) -> Iterator[Tally]:
    """Give what is there, and what has been, of one moment: the two change places."""
    cells = Cells()
    for name, number, state, jobs, queue in rows:
        kept = state if type(state) is str else cells.stored(state).name.lower()
        of = cells.maybe_text("queue", queue)
        yield Tally(_task(cells, name, number), kept, cells.whole("n", jobs), of)


def history(rows: Rows) -> Iterator[Sum]:
    """Give what has happened in each minute."""
    cells = Cells()
    for minute, name, number, queue, outcome, *numbers in rows:
        named = _task(cells, name, number), cells.text("queue", queue), cells.text("outcome", outcome)
        yield sum_of(minute, *named, [cells.whole("n", one) for one in numbers])


def groups(rows: Rows) -> Iterator[FailureGroup]:
    """Give the failures that are of one kind."""
    cells = Cells()
    for name, number, kind, place, jobs, first, last, id in rows:
        texts = _task(cells, name, number), cells.text("kind", kind), cells.text("place", place)
        times = cells.whole("finished", first), cells.whole("finished", last)
        yield FailureGroup(*texts, jobs, *times, cells.id("id", id))


def counts(rows: Rows) -> list[Counts]:
    """Return how many jobs each task has in each state, in order."""
    found: dict[tuple[str, State], int] = {}
    cells = Cells()
    for name, number, state, jobs in rows:
        key = (_task(cells, name, number), cells.stored(state).public)
        found[key] = found.get(key, 0) + cells.whole("n", jobs)
    return [Counts(task, state, jobs) for (task, state), jobs in sorted(found.items()) if jobs > 0]


def damage(rows: Rows) -> Iterator[Contradiction]:
    """Give what SQLite says of its pages and indexes (`integrity`)."""
    told = [text for (text,) in rows if text != "ok"]
    if told:
        yield Contradiction("pages", f"faults in the file itself: {told[0]}", len(told), None)


def _task(cells: Cells, name: object, number: object) -> str:
    return f"(unknown task {number})" if name is None else cells.text("task", name)
