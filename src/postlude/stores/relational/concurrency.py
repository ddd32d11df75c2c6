"""How jobs become ready: those of a concurrency key only while it has room.

A concurrency key's limit holds because no more of its jobs than it allows are ever ready or running. So
whatever makes jobs ready goes through `enter`, and whatever takes them away ends with `refill`. Each is
given all jobs of a group at once: a statement on a server costs a round trip.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from postlude.model.job import Hold
from postlude.model.state import Reason, Stored
from postlude.stores.relational.limits import UNLIMITED
from postlude.stores.relational.transaction import Transaction

ConcurrencyKey = tuple[int, str]
"""A task's number and the concurrency key's name."""


class Entering(NamedTuple):
    """A job that would be ready, in the order of the rows that statements give."""

    seq: int
    task: int
    concurrency_key: str | None
    state: int


class Leaving(NamedTuple):
    """A job that is taken away from a concurrency key, and from what follows it."""

    seq: int
    task: int
    concurrency_key: str | None
    followed: int
    """Whether a job may wait for the end of its first attempt."""
    asked: int = 0
    """Whether it was asked to stop."""
    queue: str = ""
    """Where it had waited, in hexadecimal digits; only of those that may end by leaving."""


def enter(tx: Transaction, jobs: Sequence[Entering]) -> list[Entering]:
    """Make jobs ready, in this order; those whose concurrency key is full are blocked. Returns which are
    ready."""
    ready: list[Entering] = []
    blocked: list[Entering] = []
    limits = tx.rules.limits if any(job.concurrency_key is not None for job in jobs) else {}
    keys = {job.seq: (job.task, job.concurrency_key) for job in jobs if job.task in limits}
    limited = {seq: (task, name) for seq, (task, name) in keys.items() if name is not None}
    room = rooms_in(tx, set(limited.values()))
    for job in jobs:
        key = limited.get(job.seq)
        if key is None:
            ready.append(job)
            continue
        room[key] -= 1
        (ready if room[key] >= 0 else blocked).append(job)
    if ready:
        tx.run("ready_all", json.dumps([job.seq for job in ready]))
        _count(tx, ready, Stored.READY)
    block(tx, blocked, Reason.LIMIT)
    return ready


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


def let_next(tx: Transaction, left: Collection[Leaving]) -> None:
    """Ready what waited for jobs that have been taken away: the next of their keys, those that follow."""
    refill(tx, {(job.task, job.concurrency_key) for job in left if job.concurrency_key is not None})
    free_followers(tx, [job.seq for job in left if job.followed])


def free_followers(tx: Transaction, seqs: Sequence[int]) -> None:
    """Let the jobs start that wait for these."""
    if seqs:
        enter(tx, [Entering(*row) for row in tx.rows("waiting_for", json.dumps(seqs))])


def free(tx: Transaction, calls: Sequence[Sequence[int]]) -> list[int]:
    """Let jobs start that were held for their requests."""
    callers = {seq: place for place, seqs in reversed(list(enumerate(calls))) for seq in seqs}
    found = [Entering(*row) for row in tx.rows("held_back", json.dumps(list(callers)))]
    found.sort(key=lambda job: callers[job.seq])
    ready = Counter(callers[job.seq] for job in enter(tx, found))
    return [ready[place] for place in range(len(calls))]


def block_behind(tx: Transaction, calls: Iterable[tuple[Sequence[Hold], Mapping[int, Leaving]]]) -> set[int]:
    """Let followers that have just been given back wait again for the ones before them.

    Args:
        tx: the transaction.
        calls: of each call of `release`, what it gives back, and those of it that are ready now.

    Returns:
        for which jobs they wait.
    """
    rows = [
        (hold.seq, hold.due, hold.follows, ready[hold.seq].task)
        for holds, ready in calls
        for hold in holds
        if hold.follows in ready and _may_follow(ready.get(hold.seq))
    ]
    if rows:
        tx.run_for("block_behind", [row[:3] for row in rows])
        tx.run("note_followed", json.dumps([before for _, _, before, _ in rows]))
        for task, jobs in Counter(task for *_, task in rows).items():
            tx.count(task, Stored.READY, Stored.BLOCKED, jobs)
    return {before for _, _, before, _ in rows if before is not None}


def _may_follow(job: Leaving | None) -> bool:
    return job is not None and job.concurrency_key is None


def block(tx: Transaction, jobs: Sequence[Entering], reason: Reason) -> None:
    """Block ready jobs for a reason that has no due time."""
    if jobs:
        tx.run("block_all", json.dumps([job.seq for job in jobs]), reason)
        _count(tx, jobs, Stored.BLOCKED)


def room_in(tx: Transaction, concurrency_key: ConcurrencyKey) -> int:
    """Return how many more jobs of a concurrency key may be ready; negative if there are too many."""
    return rooms_in(tx, [concurrency_key])[concurrency_key]


def rooms_in(tx: Transaction, concurrency_keys: Collection[ConcurrencyKey]) -> dict[ConcurrencyKey, int]:
    """Return how many more jobs of each of these may be ready."""
    limits = tx.rules.limits
    limited = [key for key in concurrency_keys if key[0] in limits]
    taken = tx.rows("in_lanes", json.dumps(limited)) if limited else []
    rooms = dict.fromkeys(concurrency_keys, UNLIMITED)
    rooms.update({key: limits[key[0]] - count for key, count in zip(limited, taken, strict=True)})
    return rooms


def refill(tx: Transaction, concurrency_keys: Collection[ConcurrencyKey]) -> Counter[int]:
    """Ready what waits in concurrency keys that jobs have left; returns how many jobs of each task."""
    if not concurrency_keys:
        return Counter()
    limits = tx.rules.limits
    wanted = [(task, name, limits.get(task, UNLIMITED)) for task, name in concurrency_keys]
    found = tx.rows("next_in_lanes", json.dumps(wanted))
    readied = Counter(task for _, task in found)
    if found:
        tx.run("ready_all", json.dumps([seq for seq, _ in found]))
        for task, jobs in readied.items():
            tx.count(task, Stored.BLOCKED, Stored.READY, jobs)
    return readied


def rebalance(tx: Transaction, tasks: Collection[int]) -> None:
    """After limits of tasks have changed: let each concurrency key have as many ready jobs as it may."""
    limits = [(task, tx.rules.limits[task]) for task in tasks]
    if limits:
        surplus = [Entering(*row) for row in tx.rows("surplus_in_lanes", json.dumps(limits))]
        block(tx, surplus, Reason.LIMIT)
        refill(tx, [(task, name) for task, name in tx.rows("lanes", json.dumps(list(tasks)))])


def unstick(tx: Transaction) -> None:
    """Let jobs go on that wait in a concurrency key with room: the row of one that had it may be damaged.

    A look at one concurrency key of each task: with many that are stuck, each time one goes on.
    """
    if tx.rules.limits:
        waiting = tx.rows("waiting_lanes", json.dumps(list(tx.rules.limits)))
        rebalance(tx, refill(tx, [(task, name) for task, name in waiting]).keys())


def _count(tx: Transaction, jobs: Sequence[Entering], after: Stored) -> None:
    for (task, state), number in Counter((job.task, job.state) for job in jobs).items():
        if state != after:
            tx.count(task, Stored(state), after, number)
