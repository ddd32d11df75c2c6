"""What the SQLite journal needs from time to time: due jobs, parked jobs, pruning."""

import json
from collections import Counter
from collections.abc import Collection, Sequence
from itertools import chain
from typing import Any, Final

from postlude.clock import SECOND
from postlude.config import AUDIT_SECONDS, Keep
from postlude.model.counted import Counted, key_of
from postlude.model.history import MINUTE, MINUTES_KEPT
from postlude.model.job import ProgressNote
from postlude.model.state import Stored
from postlude.stores.protocol import Promoted
from postlude.stores.relational.concurrency import Entering, enter, follow_clock
from postlude.stores.relational.transaction import DamagedRow, Transaction

BATCH: Final = 500
"""Jobs that one call moves or deletes at most."""

MOST_PARKED: Final = 100 * BATCH
"""Jobs that one call readies of those that were parked."""

WINDOW: Final = 20_000
"""Places in the order that one call of `prune` looks at: unfinished jobs among them cost time too."""


MINUTES_AT_ONCE: Final = 60
"""Minutes of which one call of `fold` forgets the sums."""


def promote(tx: Transaction, calls: Sequence[None]) -> list[Promoted]:
    """Ready what is due, scheduled and blocked alike."""
    follow_clock(tx)
    jobs = 0
    for statement in ("due", "due_blocked"):
        jobs += len(enter(tx, [Entering(*row) for row in tx.rows(statement, tx.now, BATCH)]))
    if tx.value("never_due"):
        raise DamagedRow("a job that waits for its time has none")
    return [Promoted(jobs, tx.value("next_due"))] * len(calls)


def progress(tx: Transaction, calls: Sequence[Sequence[ProgressNote]]) -> list[None]:
    """Note how far jobs are; what each has said last."""
    last = {(seq, fence): said for notes in calls for seq, fence, said in notes}
    tx.run_for("note_progress", [(*claim, *said) for claim, said in last.items()])
    return [None] * len(calls)


def unpark(tx: Transaction, calls: Sequence[tuple[Collection[tuple[str, str]], bool]]) -> list[int]:
    """Ready the parked jobs of these pairs; with suspects, or without."""
    jobs = Counter[int]()
    for suspects in (True, False):
        callers = {
            (tx.task_id(task), release): place
            for place, (pairs, also) in reversed(list(enumerate(calls)))
            for task, release in pairs
            if also is suspects
        }
        if not callers:
            continue
        found = tx.rows("parked_jobs", json.dumps(list(callers)), MOST_PARKED, suspects)
        if found:
            enter(tx, [Entering(*job) for *job, _ in found])
            tx.run("prune_notes", json.dumps([job[0] for job in found]))
        jobs.update(callers[task, release] for _, task, _, _, release in found)
    return [jobs[place] for place in range(len(calls))]


def fold(tx: Transaction, calls: Sequence[None]) -> list[int]:
    """Let minutes that are long over be part of the sums of all time only."""
    tx.run("forget_audit", tx.now - round(AUDIT_SECONDS * SECOND))
    gone = tx.run("forget_minutes", tx.now // MINUTE - MINUTES_KEPT, MINUTES_AT_ONCE)
    return [gone] * len(calls)


def count(tx: Transaction, calls: Sequence[Sequence[Counted]]) -> list[None]:
    """Add to what processes have counted, in the order of their keys: no two may wait for each other."""
    numbers = Counter[str]()
    for counted in calls:
        for one in counted:
            numbers[key_of(one)] += one.n
    tx.run_for("add_counted", sorted(numbers.items()))
    return [None] * len(calls)


class Pruner:
    """Deletes finished jobs that are kept no longer, a bounded number at a time.

    Successes have no index by age (it would cost every success), so they are looked for in
    the order of jobs, from where the last look ended.
    """

    def __init__(self) -> None:
        self._from = 0

    def prune(self, tx: Transaction, calls: Sequence[Keep]) -> list[int]:
        """Prune once for each call."""
        return [self._prune(tx, keep) for keep in calls]

    def _prune(self, tx: Transaction, keep: Keep) -> int:
        failed_before = tx.now - round(keep.failure_seconds * SECOND)
        rows = tx.rows("oldest_failed", failed_before, BATCH)
        rows += tx.rows("oldest_cancelled", failed_before, BATCH)
        surplus = tx.value("jobs_in_state", int(Stored.FAILED)) - keep.failures
        if surplus > len(rows):
            rows = tx.rows("oldest_failed", tx.now + SECOND, min(surplus, BATCH))
        if len(rows) < BATCH:
            rows += self._successes(tx, keep, BATCH - len(rows))
        return _delete(tx, rows[:BATCH])

    def _successes(self, tx: Transaction, keep: Keep, most: int) -> list[Any]:
        first = tx.value("first_seq")
        if first is None:
            return []
        start = max(self._from, first)
        end = start + WINDOW
        surplus = tx.value("jobs_in_state", int(Stored.SUCCEEDED)) - keep.successes
        if surplus > 0:
            rows = tx.rows("oldest_successes", start, end, min(surplus, most))
        else:
            rows = tx.rows("old_successes", start, end, tx.now - round(keep.success_seconds * SECOND), most)
        if len(rows) == most:
            self._from = rows[-1][0]
        else:
            last = tx.value("last_seq")
            self._from = end + 1 if end < last else 0
        return rows


def delete(tx: Transaction, calls: Sequence[Sequence[bytes]]) -> list[list[bool]]:
    """Delete jobs that have ended."""
    ids = list(dict.fromkeys(chain.from_iterable(calls)))
    found = tx.rows("ended_by_id", json.dumps([id.hex() for id in ids]))
    left = {row[0]: row for row in found}
    _delete(tx, list(left.values()))
    seqs = {ids[place]: seq for seq, *_, place in found}
    answers: list[list[bool]] = []
    for call in calls:
        answers.append([seqs.get(id) in left for id in call])
        for id in call:
            left.pop(seqs.get(id), None)
    return answers


def _delete(tx: Transaction, rows: Sequence[Any]) -> int:
    if not rows:
        return 0
    seqs = json.dumps([row[0] for row in rows])
    for statement in (
        "prune_jobs",
        "prune_payloads",
        "prune_results",
        "prune_attempts",
        "prune_aliases",
        "prune_progress",
        "prune_logs",
        "prune_notes",
    ):
        tx.run(statement, seqs)
    if any(row[2] == Stored.FAILED for row in rows):
        tx.run("prune_failures", seqs)
    for (task, state), jobs in Counter((row[1], row[2]) for row in rows).items():
        tx.count(task, Stored(state), None, jobs)
    return len(rows)
