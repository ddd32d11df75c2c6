"""Jobs that have joined an application's own transaction: the journal gets to know of them here."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

from postlude.model.history import ADDED
from postlude.model.joining import in_calls, read
from postlude.model.state import Stored
from postlude.stores.relational.add import add
from postlude.stores.relational.transaction import Transaction

MOST: Final = 2000
"""Jobs that are taken in at once."""

Apply = Callable[[Any, Any], list[Any]]


def after_taking_in(apply: Apply) -> Apply:
    """Return what applies a verb when those have been taken in that have joined until then."""

    def take_in_first(tx: Transaction, calls: Sequence[Any]) -> list[Any]:
        while take_in(tx) == MOST:
            pass
        return apply(tx, calls)

    return take_in_first


def take_in(tx: Transaction) -> int:
    """Count jobs that have joined, and see to the keys, limits and places of those that have one.

    These are stored once more, as if they were added now: `add` knows what to make of them. Until then
    they are scheduled without a time, so nothing claims, readies or cancels them.
    """
    rows = tx.rows("take_joined", MOST)
    known = Counter((task, state, queue) for _, task, state, job, queue in rows if job is None)
    for (task, state, queue), jobs in known.items():
        tx.count(tx.task_id(task), None, Stored(state), jobs)
        tx.sums.add(tx.task_id(task), queue, ADDED, jobs)
    ready = sorted(seq for seq, _, state, job, _ in rows if job is None and state == Stored.READY)
    if ready:
        tx.run("give_places", json.dumps(ready))
    later = [seq for seq, _, state, job, _ in rows if job is None and state == Stored.SCHEDULED]
    if later:
        tx.run("note_first_due", json.dumps(later))
    unsettled = sorted((seq, job) for seq, _, _, job, _ in rows if job is not None)
    if unsettled:
        seqs = json.dumps([seq for seq, _ in unsettled])
        tx.run("prune_jobs", seqs)
        tx.run("prune_payloads", seqs)
        add(tx, [(jobs, None) for jobs in in_calls([read(job) for _, job in unsettled])])
    if rows:
        tx.said.changed = True
    return len(rows)
