"""How jobs become ready: those of a concurrency key only while it has room.

A concurrency key's limit holds because no more of its jobs than it allows are ever ready or running. So
whatever makes jobs ready goes through `enter`, and whatever takes them away ends with `refill`.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from postlude.model.job import Hold
from postlude.model.state import Reason, Stored
from postlude.stores.sqlite.limits import UNLIMITED
from postlude.stores.sqlite.transaction import Transaction

ConcurrencyKey = tuple[int, str]
"""A task's number and the concurrency key's name."""


class Entering(NamedTuple):
    """A job that would be ready, in the order of the rows that statements give."""

    seq: int
    task: int
    concurrency_key: str | None
    state: int


def enter(tx: Transaction, jobs: Sequence[Entering]) -> int:
    """Make jobs ready, in this order; those whose concurrency key is full are blocked. Returns how many are
    ready."""
    ready: list[Entering] = []
    blocked: list[Entering] = []
    room: dict[ConcurrencyKey, int] = {}
    for job in jobs:
        if job.concurrency_key is None:
            ready.append(job)
            continue
        concurrency_key = (job.task, job.concurrency_key)
        if concurrency_key not in room:
            room[concurrency_key] = room_in(tx, concurrency_key)
        room[concurrency_key] -= 1
        (ready if room[concurrency_key] >= 0 else blocked).append(job)
    if ready:
        tx.run("ready_all", json.dumps([job.seq for job in ready]))
        _count(tx, ready, Stored.READY)
    if blocked:
        tx.run("block_all", json.dumps([job.seq for job in blocked]), Reason.LIMIT)
        _count(tx, blocked, Stored.BLOCKED)
    return len(ready)


def ready_blocked(tx: Transaction, task: int, reason: Reason) -> None:
    """Ready the jobs of a task that are blocked for a reason which does not hold any more."""
    enter(tx, [Entering(*row) for row in tx.rows("blocked_because", task, reason)])


def follow_clock(tx: Transaction) -> None:
    """If the clock was set back: note what rates owe by now, and let jobs wait for other turns of theirs."""
    rules = tx.rules
    for bucket in rules.queue_rates.values():
        bucket.set_back(tx.now)
    for task, bucket in rules.rates.items():
        if bucket.set_back(tx.now):
            ready_blocked(tx, task, Reason.RATE)


def free_follower(tx: Transaction, seq: int) -> None:
    """Let the job start that waits for this one, if there is one."""
    follower = tx.value("follower", seq)
    if follower is not None:
        enter(tx, [Entering(*follower)])


def free(tx: Transaction, calls: Sequence[Sequence[int]]) -> list[int]:
    """Let jobs start that were held for their requests."""
    return [enter(tx, [Entering(*row) for row in tx.rows("held_back", json.dumps(seqs))]) for seqs in calls]


def block_behind(tx: Transaction, holds: Sequence[Hold], tasks: Mapping[int, int]) -> list[int]:
    """Let jobs that have just been given back wait again for the ones before them, if those wait too.

    Args:
        tx: the transaction.
        holds: the claims of the followers.
        tasks: the task of each job that was given back.

    Returns:
        for which jobs they wait.
    """
    followed = []
    for hold in sorted(holds):
        seq, before = hold.seq, hold.follows
        if before is not None and seq in tasks and before in tasks:
            tx.run("block_behind", seq, hold.due, before)
            if tx.db.changes():
                tx.run("note_followed", before)
                tx.count(tasks[seq], Stored.READY, Stored.BLOCKED)
                followed.append(before)
    return followed


def block(tx: Transaction, jobs: Sequence[Entering], reason: Reason) -> None:
    """Block ready jobs for a reason that has no due time."""
    if jobs:
        tx.run("block_all", json.dumps([job.seq for job in jobs]), reason)
        _count(tx, jobs, Stored.BLOCKED)


def room_in(tx: Transaction, concurrency_key: ConcurrencyKey) -> int:
    """Return how many more jobs of a concurrency key may be ready; negative if there are too many."""
    limit = tx.rules.limits.get(concurrency_key[0])
    return UNLIMITED if limit is None else limit - int(tx.value("in_lane", *concurrency_key))


def refill(tx: Transaction, concurrency_keys: Iterable[ConcurrencyKey]) -> None:
    """Ready what waits in concurrency keys that jobs have left."""
    for concurrency_key in concurrency_keys:
        room = room_in(tx, concurrency_key)
        if room > 0:
            seqs = tx.rows("waiting_in_lane", *concurrency_key, min(room, 1_000_000))
            if seqs:
                tx.run("ready_all", json.dumps(seqs))
                tx.count(concurrency_key[0], Stored.BLOCKED, Stored.READY, len(seqs))


def rebalance(tx: Transaction, task: int) -> None:
    """After a task's limit has changed: let each of its concurrency keys have as many ready jobs as it
    may."""
    for name in tx.rows("lanes", task):
        concurrency_key = (task, name)
        surplus = -room_in(tx, concurrency_key)
        if surplus > 0:
            seqs = tx.rows("last_ready_in_lane", *concurrency_key, surplus)
            block(tx, [Entering(seq, task, name, Stored.READY) for seq in seqs], Reason.LIMIT)
        else:
            refill(tx, [concurrency_key])


def unstick(tx: Transaction) -> None:
    """Let jobs go on that wait in a concurrency key with room: the row of one that had it may be damaged.

    A look at one concurrency key of each task: with many that are stuck, each time one goes on.
    """
    for task in tx.rules.limits:
        concurrency_key = tx.value("waiting_lane", task)
        if concurrency_key is not None and room_in(tx, (task, concurrency_key)) > 0:
            rebalance(tx, task)


def _count(tx: Transaction, jobs: Sequence[Entering], after: Stored) -> None:
    for (task, state), number in Counter((job.task, job.state) for job in jobs).items():
        if state != after:
            tx.count(task, Stored(state), after, number)
