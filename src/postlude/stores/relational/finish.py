"""How attempts end in the SQLite journal: a group's ends with as many statements as one takes."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from postlude.model.failure import failure_of
from postlude.model.outcome import SUCCEEDED, Failed, Finish, Succeeded
from postlude.model.state import Reason, Stored
from postlude.model.transition import Ending, ending, may_be_written
from postlude.stores.relational.transaction import Transaction


class Standing(NamedTuple):
    """Where a job stands, as the statement `standings` gives it."""

    seq: int
    state: int
    fence: int
    task: int
    failures: int
    released: int
    """No runner: it was released since its claim, and nobody has claimed it. (An attempt that has ended
    leaves 0 there: it is not written again after a retry became due.)"""
    concurrency_key: str | None
    asked: int
    queue: str


def standings(tx: Transaction, seqs: Sequence[int]) -> dict[int, Standing]:
    """Return where each of these jobs stands; those that there are."""
    return {row[0]: Standing(*row) for row in tx.rows("standings", json.dumps(seqs))}


def finish_successes(tx: Transaction, successes: Sequence[Finish]) -> bool:
    """Write successes, if all of their claims hold; otherwise the whole group begins again."""
    if not successes:
        return True
    seqs, fences, _, started, finished, outcomes, logs, _, _, _ = zip(*successes, strict=True)
    many, rows = len(seqs), [*zip(seqs, fences, started, finished, strict=True)]
    if tx.run_for("finish_succeeded", rows) != many:
        # Some claim was lost. Finishes come first in a group, so nothing else is undone.
        tx.restart()
        return False
    note_successes(tx, successes, plain=outcomes.count(SUCCEEDED) == logs.count(()) == many)
    return True


def note_successes(tx: Transaction, successes: Sequence[Finish], *, plain: bool) -> None:
    """Write what belongs to successes that are written: numbers, and what they have returned and logged.

    Args:
        tx: the transaction.
        successes: some.
        plain: none of them has returned or logged anything.
    """
    for task, jobs in tx.sums.add_successes(successes, tx.task_id).items():
        tx.count(task, Stored.RUNNING, Stored.SUCCEEDED, jobs)
    if not plain:
        special = [f for f in successes if f.outcome is not SUCCEEDED or f.logs]
        keep_what_ran(tx, special)
        dropped = [f.seq for f in special if isinstance(f.outcome, Succeeded) and f.outcome.dropped]
        if dropped:
            tx.run("note_dropped", json.dumps(dropped), Reason.RESULT_DROPPED)


def finish_each(tx: Transaction, finishes: Sequence[Finish], host: str, pid: int) -> list[bool]:
    """Write the ends of those whose claims still hold; says which.

    Args:
        tx: the transaction.
        finishes: in the order in which they are looked at: of two ends of one claim, the first counts.
        host, pid: noted with attempts that have failed.
    """
    found = standings(tx, [finish.seq for finish in finishes])
    kept: list[tuple[Finish, Standing, Ending]] = []
    answers: list[bool] = []
    for finish in finishes:
        job = found.get(finish.seq)
        holds = job is not None and may_be_written(job.state, bool(job.released), job.fence, finish.fence)
        answers.append(holds)
        if job is not None and holds:
            del found[finish.seq]
            kept.append((finish, job, ending(finish.outcome, asked=bool(job.asked))))
    if kept:
        _write(tx, kept, host, pid)
    return answers


def _write(tx: Transaction, kept: Sequence[tuple[Finish, Standing, Ending]], host: str, pid: int) -> None:
    keep_what_ran(tx, [finish for finish, _, _ in kept])  # before the attempts are counted
    attempts = [
        (f.seq, job.failures + 1, f.started, f.finished, *end.attempt, host, pid)
        for f, job, end in kept
        if end.attempt is not None
    ]
    tx.run_for("add_attempts", attempts)
    tx.run_for(
        "finish_all",
        [
            (
                f.seq, int(end.state), f.started, f.finished if end.state.final else None,
                job.failures + (end.attempt is not None), end.due, end.reason, end.release,
            )
            for f, job, end in kept
        ],
    )  # fmt: skip
    tx.note_failures(
        [
            (f.seq, failure_of(f.outcome))
            for f, _, end in kept
            if end.state is Stored.FAILED and isinstance(f.outcome, Failed)
        ]
    )
    tx.run_for("set_notes", [(f.seq, end.note) for f, _, end in kept if end.state is Stored.PARKED])
    for (task, before, after), jobs in Counter(
        (job.task, job.state, end.state) for _, job, end in kept
    ).items():
        tx.count(task, Stored(before), after, jobs)
    for finish, job, end in kept:
        tx.sums.add_end(job.task, finish.queue, finish, end.state)


def keep_what_ran(tx: Transaction, finishes: Sequence[Finish]) -> None:
    """Write what attempts returned and logged."""
    outcomes = [(f.seq, f.outcome) for f in finishes if isinstance(f.outcome, Succeeded)]
    tx.run_for("add_results", [(seq, o.result) for seq, o in outcomes if o.result is not None])
    tx.run_for("add_logs", [(f.seq, json.dumps(f.logs)) for f in finishes if f.logs])
