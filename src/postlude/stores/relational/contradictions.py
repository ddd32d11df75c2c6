"""What is stored and cannot be true: each is looked for by a statement of its own, `wrong_...`."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from postlude.stores.values import Contradiction

WRONG: Final = {
    "tally": "tasks and states of which another number of jobs is counted than there are",
    "runner": "jobs that run in a process that the journal does not know",
    "claim": "jobs that run and were never claimed",
    "arguments": "jobs that have not ended and have no arguments",
    "task": "jobs of a task without a name",
    "end": "jobs that have ended at no time",
    "follower": "jobs that wait for one that is not there",
    "leftovers": "arguments, results, attempts or log lines of jobs that are not there",
}
"""What rows each finds, in words that come after their number."""


def found(rows: Callable[[str], Sequence[Sequence[Any]]]) -> Iterator[Contradiction]:
    """Give those that there are.

    Args:
        rows: runs a statement by its name. Its one row has how many there are, and the id of one of these
            jobs in hexadecimal digits.
    """
    for code, says in WRONG.items():
        ((many, id),) = rows(f"wrong_{code}")
        if many:
            yield Contradiction(code, says, int(many), None if id is None else bytes.fromhex(id))
